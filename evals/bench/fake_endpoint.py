"""A fake OpenAI-compatible endpoint that costs next to nothing, in a process of its own, and keeps count.

    python -m evals.bench.fake_endpoint --latency 0.2 --answers answers.json --too-many 0.05 --failing 0.02

It prints its base URL. A request is known by the `[case 123]` in it and answered with that number's answer; whether a
try fails depends on the case, the number of the try and the seed alone, so that every client meets the same trouble.
Embeddings it makes from each text's checksum, at once: the same for the same text, and close to no other's.
GET /stats tells what it saw since the last GET /reset.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import re
import time
import zlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

_CASE = re.compile(rb"\[case (\d+)\]")
_DIMENSION = 64
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Endpoint:
    """What the endpoint does, and what it saw."""

    def __init__(self, options: argparse.Namespace, answers: list[str]) -> None:
        self.latency_s: float = options.latency
        self.too_many: float = options.too_many
        self.failing: float = options.failing
        self.per_second: float | None = options.per_second
        self.seed: int = options.seed
        self.bodies = [_completion(answer) for answer in answers]
        self.reset()

    def reset(self) -> None:
        self.tries = Counter[int]()
        self.answered: dict[int, list[float]] = defaultdict(list)
        self.statuses = Counter[int]()
        self.first = self.last = 0.0
        self.at_once = self.most_at_once = 0
        self.cpu = time.process_time()
        self.level, self.level_at = self.per_second or 0.0, 0.0

    def stats(self) -> dict[str, Any]:
        return {
            "requests": sum(self.tries.values()),
            "answered": {str(case): times for case, times in self.answered.items()},
            "statuses": {str(status): n for status, n in self.statuses.items()},
            "seconds": self.last - self.first,
            "most_at_once": self.most_at_once,
            "cpu_s": time.process_time() - self.cpu,
        }

    def judge(self, case: int) -> int:
        """The status for this try."""
        self.tries[case] += 1
        if self.per_second is not None:
            now = time.monotonic()
            self.level = min(self.per_second, self.level + (now - self.level_at) * self.per_second)
            self.level_at = now
            if self.level < 1:
                return 429
            self.level -= 1
        drawn = hashlib.sha256(f"{case} {self.tries[case]} {self.seed}".encode()).digest()
        chance = int.from_bytes(drawn[:8]) / 2**64
        return 429 if chance < self.too_many else 500 if chance < self.too_many + self.failing else 200


class Connection(asyncio.Protocol):
    """One connection: requests come one after the other."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head = self.received.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self.received, 0, head)
        whole = head + 4 + (int(length[1]) if length else 0)
        if len(self.received) >= whole:
            request, self.received = bytes(self.received[:whole]), self.received[whole:]
            self.handle(request)

    def handle(self, request: bytes) -> None:
        endpoint = self.endpoint
        if request.startswith(b"GET"):
            if b"/reset" in request[:40]:
                endpoint.reset()
            self.transport.write(_response(200, json.dumps(endpoint.stats()).encode()))
            return
        if b"/embeddings" in request[:80]:
            self.transport.write(_embeddings(json.loads(request.partition(b"\r\n\r\n")[2])))
            return
        endpoint.last = time.perf_counter()
        endpoint.first = endpoint.first or endpoint.last
        endpoint.at_once += 1
        endpoint.most_at_once = max(endpoint.most_at_once, endpoint.at_once)
        found = _CASE.search(request)
        case = int(found[1]) if found else -1
        status = endpoint.judge(case)
        # A refusal comes at once, an error after the work.
        delay_s = 0.005 if status == 429 else endpoint.latency_s
        asyncio.get_running_loop().call_later(delay_s, self.answer, case, status)

    def answer(self, case: int, status: int) -> None:
        endpoint = self.endpoint
        endpoint.at_once -= 1
        if self.transport.is_closing():
            return
        endpoint.statuses[status] += 1
        endpoint.last = time.perf_counter()
        if status == 200:
            endpoint.answered[case].append(time.time())
            self.transport.write(endpoint.bodies[case % len(endpoint.bodies)])
        else:
            self.transport.write(_TROUBLE[status])


def _completion(answer: str) -> bytes:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "fake",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "logprobs": None,
                "message": {"role": "assistant", "content": answer, "refusal": None},
            }
        ],
        "usage": {"prompt_tokens": 9_000, "completion_tokens": 200, "total_tokens": 9_200},
    }
    return _response(200, json.dumps(body).encode())


def _embeddings(asked: dict[str, Any]) -> bytes:
    texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
    drawn = [random.Random(zlib.crc32(text.encode())) for text in texts]
    data = [
        {"object": "embedding", "index": n, "embedding": [round(one.gauss(0, 1), 4) for _ in range(_DIMENSION)]}
        for n, one in enumerate(drawn)
    ]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return _response(200, json.dumps({"object": "list", "data": data, "model": "fake", "usage": usage}).encode())


def _response(status: int, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


_TROUBLE = {
    429: _response(429, b'{"error": {"message": "too many requests", "code": "rate_limited"}}', "retry-after: 1\r\n"),
    500: _response(500, b'{"error": {"message": "internal error"}}'),
}


async def serve(endpoint: Endpoint) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=Path, required=True, help="a JSON list of texts")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--too-many", type=float, default=0.0, help="share of tries answered 429 with Retry-After: 1")
    parser.add_argument("--failing", type=float, default=0.0, help="share of tries answered 500")
    parser.add_argument("--per-second", type=float, help="answer 429 to all requests above this rate")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    endpoint = Endpoint(options, json.loads(options.answers.read_text()))
    asyncio.run(serve(endpoint))


if __name__ == "__main__":
    main()
