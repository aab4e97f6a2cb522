"""A fake OpenAI-compatible server over a real socket. It answers well unless told otherwise, request by request.

    with FakeOpenAI() as fake:
        fake.script(Status(429, headers={"retry-after": "0.01"}), Answer("hello"))
        OpenAIChat("any", base_url=fake.base_url, api_key="any")

Without a script it answers with JSON that fits the request's schema, or with the likeliest of `fake.letters`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import struct
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from aiohttp import web

DIMENSION = 64


class Behaviour(Protocol):
    """One way to answer a request."""

    async def respond(self, fake: FakeOpenAI, request: web.Request, body: dict[str, Any]) -> web.StreamResponse: ...


@dataclass(frozen=True)
class Answer:
    """A completion with this text; without text, one that fits the request.

    `calls_tool` says whether it comes as the tool call that was asked for, or in the content all the same.
    """

    text: str | None = None
    finish_reason: str = "stop"
    delay_s: float = 0.0
    calls_tool: bool = True

    async def respond(self, fake: FakeOpenAI, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(self.delay_s)
        text = fake.fitting_text(body) if self.text is None else self.text
        asked = body if self.calls_tool else {name: value for name, value in body.items() if name != "tools"}
        return web.json_response(fake.completion(asked, text, self.finish_reason))


@dataclass(frozen=True)
class Held:
    """A completion that fits the request, once it is released."""

    released: threading.Event = field(default_factory=threading.Event)

    async def respond(self, fake: FakeOpenAI, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.to_thread(self.released.wait, 60)
        return await Answer().respond(fake, request, body)


@dataclass(frozen=True)
class WrongLabel:
    """JSON of the right shape, with labels that no taxonomy has."""

    label: str = "no_such_label"

    async def respond(self, fake: FakeOpenAI, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        schema = requested_schema(body) or {}
        text = json.dumps(fitting(schema, prefer=(), words=fake.words, label=self.label))
        return web.json_response(fake.completion(body, text))


@dataclass(frozen=True)
class OutsideSchema:
    """JSON of another shape than asked for."""

    async def respond(self, fake: FakeOpenAI, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(fake.completion(body, '{"weather": "fine"}'))


@dataclass(frozen=True)
class Status:
    """An error status with the usual error body."""

    code: int
    message: str = "scripted"
    headers: dict[str, str] = field(default_factory=dict)
    param: str | None = None
    error_code: str | None = None

    async def respond(self, fake: FakeOpenAI, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return error(self.code, self.message, self.param, self.error_code, self.headers)


@dataclass(frozen=True)
class CutOff:
    """A body that ends in the middle: the connection is closed before the promised length is sent."""

    async def respond(self, fake: FakeOpenAI, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        whole = json.dumps(fake.completion(body, fake.fitting_text(body))).encode()
        response = web.StreamResponse(headers={"content-type": "application/json"})
        response.content_length = len(whole)
        await response.prepare(request)
        await response.write(whole[: len(whole) // 2])
        assert request.transport is not None
        request.transport.close()
        return response


@dataclass(frozen=True)
class Body:
    """Any body with any status, such as half a JSON document or a proxy's HTML page."""

    text: str
    status: int = 200
    content_type: str = "application/json"

    async def respond(self, fake: FakeOpenAI, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(text=self.text, status=self.status, content_type=self.content_type)


@dataclass(frozen=True)
class Refusal:
    """The model declines."""

    text: str = "I can't help with that."

    async def respond(self, fake: FakeOpenAI, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        content = fake.completion(body, "")
        content["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": self.text}
        return web.json_response(content)


@dataclass(frozen=True)
class NoChoices:
    """A completion without any choice."""

    async def respond(self, fake: FakeOpenAI, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(fake.completion(body, "") | {"choices": []})


@dataclass(frozen=True)
class Chosen:
    """What a function of the request's body says: a text, or another behaviour."""

    choose: Callable[[dict[str, Any]], str | Behaviour]

    async def respond(self, fake: FakeOpenAI, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        chosen = self.choose(body)
        behaviour: Behaviour = Answer(chosen) if isinstance(chosen, str) else chosen
        return await behaviour.respond(fake, request, body)


class FakeOpenAI:
    """The server, in a thread of its own, so that async tests, sync tests and child processes can all call it.

    `requests` holds every body received, `paths` its path and `times` its arrival on the monotonic clock. `rejects`
    names what the endpoint answers 400 to: `json_schema`, `tools`, `tool_choice`, `strict`, `json_object`, `logprobs`,
    `max_tokens`, `temperature`. `keys`, if given, are the keys it accepts and `models` the models it knows. `prefer`
    lists labels to choose where a schema offers them, `words` is the text it puts where a schema wants a string, and
    `letters` maps first tokens to probabilities.
    """

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.times: list[float] = []
        self.otherwise: Behaviour = Answer()
        self.rejects: set[str] = set()
        self.keys: set[str] = set()
        self.models: set[str] = set()
        self.prefer: tuple[str, ...] = ()
        self.words = "as the write-up says"
        self.letters: dict[str, float] = {"A": 0.7, "B": 0.2, "C": 0.1}
        self.gives_logprobs = True
        self.base_url = ""
        self._scripted: deque[Behaviour] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def script(self, *behaviours: Behaviour) -> None:
        """Answer the next requests so, one behaviour each."""
        self._scripted.extend(behaviours)

    def __enter__(self) -> Self:
        self._thread.start()
        self._runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def fitting_text(self, body: dict[str, Any]) -> str:
        """A text that does what the request asks for."""
        schema = requested_schema(body)
        if schema is not None:
            return json.dumps(fitting(schema, self.prefer, self.words))
        return max(self.letters, key=lambda letter: self.letters[letter])

    def completion(self, body: dict[str, Any], text: str, finish_reason: str = "stop") -> dict[str, Any]:
        """The body of a chat completion."""
        choice: dict[str, Any] = {
            "index": 0,
            "finish_reason": finish_reason,
            "logprobs": None,
            "message": {"role": "assistant", "content": text, "refusal": None},
        }
        if body.get("logprobs") and self.gives_logprobs:
            candidates = [
                {"token": token, "logprob": math.log(share), "bytes": list(token.encode())}
                for token, share in sorted(self.letters.items(), key=lambda item: -item[1])
            ][: body.get("top_logprobs", 0)]
            choice["logprobs"] = {"content": [{**candidates[0], "top_logprobs": candidates}]}
        if body.get("tools"):
            called = {"name": body["tools"][0]["function"]["name"], "arguments": text}
            choice["message"] |= {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": called}]}
            choice["finish_reason"] = "tool_calls" if finish_reason == "stop" else finish_reason
        prompt_tokens = sum(len(str(message["content"]).split()) for message in body.get("messages", ()))
        return {
            "id": f"chatcmpl-{len(self.requests)}",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": body.get("model", ""),
            "choices": [choice],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": len(text.split()),
                "total_tokens": prompt_tokens + len(text.split()),
            },
        }

    async def _start(self) -> web.AppRunner:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._checked(self._chat))
        app.router.add_post("/v1/embeddings", self._checked(self._embeddings))
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    async def _stop(self) -> None:
        await self._runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _checked(
        self, handle: Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def respond(request: web.Request) -> web.StreamResponse:
            body = await request.json()
            self.times.append(time.monotonic())
            self.requests.append(body)
            self.paths.append(request.path)
            key = request.headers.get("authorization", "").removeprefix("Bearer ")
            if self.keys and key not in self.keys:
                return error(401, f"Incorrect API key provided: {key}.", code="invalid_api_key")
            if self.models and body["model"] not in self.models:
                return error(404, f"The model `{body['model']}` does not exist.", "model", "model_not_found")
            if self._scripted:
                return await self._scripted.popleft().respond(self, request, body)
            return await handle(request, body)

        return respond

    async def _chat(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        kind = (body.get("response_format") or {}).get("type")
        if kind in self.rejects:
            return error(400, f"This response_format type is unavailable: {kind}", "response_format")
        if "strict" in self.rejects and '"strict": true' in json.dumps(body):
            return error(400, "Unknown parameter: 'strict'.")
        for name in ("tools", "tool_choice", "logprobs", "max_tokens", "temperature"):
            if name in self.rejects and name in body:
                advice = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
                return error(400, f"Unsupported parameter: '{name}' is not supported.{advice}", name)
        return await self.otherwise.respond(self, request, body)

    async def _embeddings(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        data = []
        for index, text in enumerate(texts):
            values: list[float] | str = vector(text)
            if body.get("encoding_format") == "base64":
                values = base64.b64encode(struct.pack(f"<{DIMENSION}f", *vector(text))).decode()
            data.append({"object": "embedding", "index": index, "embedding": values})
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})


def requested_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON schema that a request asks for: in its response format, or in words at the end of its last message."""
    response_format = body.get("response_format") or {}
    if response_format.get("type") == "json_schema":
        schema: dict[str, Any] = response_format["json_schema"]["schema"]
        return schema
    for tool in body.get("tools") or ():
        parameters: dict[str, Any] = tool["function"]["parameters"]
        return parameters
    _, found, in_words = str(body["messages"][-1]["content"]).rpartition("JSON schema: ")
    return dict(json.loads(in_words)) if found else None


def format_asked(body: dict[str, Any]) -> str:
    """How a request asks for the form of its answer: `json_schema`, `tool`, `json_object` or `text`."""
    return "tool" if "tools" in body else str((body.get("response_format") or {"type": "text"})["type"])


def fitting(schema: dict[str, Any], prefer: tuple[str, ...], words: str, label: str | None = None) -> Any:
    """The plainest value that fits a schema; `label` replaces every choice from an enum."""
    if "enum" in schema:
        chosen = [option for option in prefer if option in schema["enum"]] or schema["enum"]
        return chosen[0] if label is None else label
    kind = schema.get("type")
    if kind == "object":
        return {name: fitting(part, prefer, words, label) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [fitting(schema["items"], prefer, words, label)]
    if kind in {"integer", "number"}:
        return schema.get("maximum", 90)
    return True if kind == "boolean" else words


def vector(text: str) -> list[float]:
    """A unit vector in which texts that share words are close; the same for the same text everywhere."""
    values = [0.0] * DIMENSION
    for word in text.lower().split() or [""]:
        values[hashlib.sha256(word.encode()).digest()[0] % DIMENSION] += 1.0
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values]


def error(
    status: int,
    message: str,
    param: str | None = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """An error as OpenAI words it."""
    content = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return web.json_response({"error": content}, status=status, headers=headers)
