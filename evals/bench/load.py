"""Posts distinct write-ups to a service at a steady rate and measures what becomes of them.

    python -m evals.bench.load --start --rate 20 --seconds 60
    python -m evals.bench.load --start --ramp --rate 5 --seconds 20
    python -m evals.bench.load --start --overload --rate 20 --seconds 60
    python -m evals.bench.load --start --apis 2 --workers 3 --rate 20 --seconds 60
    python -m evals.bench.load --url http://127.0.0.1:8350 --pid 4711 --rate 20 --seconds 60

The load is open: a post is due at its time however slow the answers are, and its latency counts from when it was due
(no coordinated omission). When each incident was triaged is read from the service afterwards: `created_at` to
`updated_at`, less the fake model's delay. CPU and memory are those of the service's processes alone; with `--workers`
the CPU of PostgreSQL and Chroma is told beside it. `--ramp` raises the rate until something is shed or the queue grows,
and halves the step from there. `--overload` drives three times the rate and ends with exit code 1 unless every refusal
was a 429 or 503 with Retry-After, everything accepted was triaged, and the service was ready at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import numpy as np

from evals.bench.processes import Sampler, tree_cpu_s
from evals.bench.started import Started, started
from evals.bench.write_ups import WriteUps

_MOST_OPEN = 2_000
_REFUSED = (429, 503)
_WARM_UP = 20


class Posted(NamedTuple):
    """What one post was answered. `status` is 0 where there was no answer."""

    key: str
    due: float
    latency_s: float
    status: int
    says_when: bool


class Driver:
    """One client of the service, and what it has posted so far."""

    def __init__(self, session: aiohttp.ClientSession, urls: list[str], write_ups: WriteUps, name: str) -> None:
        self._session = session
        self._urls = urls
        self._write_ups = write_ups
        self._name = name
        self._next = 0

    async def drive(self, rate: float, seconds: float) -> list[Posted]:
        """Post at `rate` a second for so long, each at its time."""
        start, open_posts = time.perf_counter() + 0.1, asyncio.Semaphore(_MOST_OPEN)
        tasks = []
        for i in range(round(rate * seconds)):
            due = start + i / rate
            body = self._write_ups.make(self._next)
            key, self._next = f"{self._name}-{self._next}", self._next + 1
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            await open_posts.acquire()
            task = asyncio.create_task(self._post(key, body | {"id": key}, due, i))
            task.add_done_callback(lambda _: open_posts.release())
            tasks.append(task)
        return await asyncio.gather(*tasks)

    async def drained(self, within_s: float) -> bool:
        """True once nothing waits any more; False if that takes too long."""
        deadline = time.perf_counter() + within_s
        while await self.pending():
            if time.perf_counter() > deadline:
                return False
            await asyncio.sleep(0.25)
        return True

    async def pending(self, most: int = 1) -> int:
        """How many incidents wait, counted up to `most`."""
        page = await self._get(f"/v1/incidents?status=pending&limit={min(most, 200)}")
        return len(page["incidents"])

    async def became(self, keys: set[str]) -> dict[str, dict[str, Any]]:
        """Key -> the incident as the service lists it, newest first until all are found."""
        found: dict[str, dict[str, Any]] = {}
        cursor = ""
        while True:
            page = await self._get(f"/v1/incidents?limit=200{cursor}")
            found |= {each["id"]: each for each in page["incidents"] if each["id"] in keys}
            if len(found) == len(keys) or not page["next_cursor"]:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    async def is_ready(self) -> bool:
        async with self._session.get(f"{self._urls[0]}/readyz") as response:
            return response.status == 200

    async def _get(self, path: str) -> dict[str, Any]:
        async with self._session.get(f"{self._urls[0]}{path}") as response:
            response.raise_for_status()
            found: dict[str, Any] = await response.json()
            return found

    async def _post(self, key: str, body: dict[str, str], due: float, i: int) -> Posted:
        url = self._urls[i % len(self._urls)]
        try:
            async with self._session.post(f"{url}/v1/incidents", json=body) as response:
                await response.read()
                status, says_when = response.status, "Retry-After" in response.headers
        except (aiohttp.ClientError, TimeoutError):
            status, says_when = 0, False
        return Posted(key, due, time.perf_counter() - due, status, says_when)


async def measure(driver: Driver, service: Started, rate: float, seconds: float, delay_s: float) -> dict[str, Any]:
    """One load from an empty queue to an empty queue."""
    before = _needed_cpu_s(service)
    with Sampler(service.pids) as sampler:
        began = time.time()
        posted = await driver.drive(rate, seconds)
        ended = time.time()
        waiting = await driver.pending(200)
        is_drained = await driver.drained(max(60.0, 3 * seconds))
    accepted = [post for post in posted if post.status in (200, 202)]
    became = await driver.became({post.key for post in accepted})
    done = [each for each in became.values() if each["status"] == "triaged"]
    waited = [(_moment(each["updated_at"]) - _moment(each["created_at"])) - delay_s for each in done]
    in_time = sum(began <= _moment(each["updated_at"]) <= ended for each in done)
    usage, after = sampler.usage(), _needed_cpu_s(service)
    return {
        "rate": rate,
        "seconds": round(ended - began, 2),
        "posted": len(posted),
        "accepted": len(accepted),
        "accepted_per_s": round(len(accepted) / (ended - began), 2),
        "done": len(done),
        "done_per_s": round(in_time / (ended - began), 2),
        "accept_ms": _percentiles([post.latency_s for post in accepted]),
        "beyond_model_ms": _percentiles(waited),
        "statuses": {str(status): n for status, n in sorted(Counter(post.status for post in posted).items())},
        "refused_with_retry_after": sum(post.says_when for post in posted if post.status in _REFUSED),
        "refused_without": sum(not post.says_when for post in posted if post.status in _REFUSED),
        "errors": sum(post.status == 0 or (post.status >= 400 and post.status not in _REFUSED) for post in posted),
        "waiting_at_the_end": waiting,
        "is_drained": is_drained,
        "lost": len(accepted) - len(done),
        "cpu_ms_per_incident": round(usage.cpu_s / len(done) * 1000, 1) if usage and done else None,
        "needed_cpu_ms_per_incident": {
            name: round((after[name] - before[name]) / len(done) * 1000, 1) for name in after if done
        },
        "memory_mib": usage._asdict() if usage else None,
        "is_ready": await driver.is_ready(),
    }


def kept_up(found: dict[str, Any]) -> bool:
    """True if nothing was refused or lost, and no more waited at the end than came in during the last second."""
    clean = found["accepted"] == found["posted"] and not found["lost"] and found["is_drained"]
    return bool(clean and found["waiting_at_the_end"] <= max(found["rate"], 8))


async def ramp(driver: Driver, service: Started, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Loads of rising rates, then between the last that was kept up with and the first that was not."""
    runs, good, bad, rate = [], 0.0, None, options.rate
    for _ in range(options.steps):
        found = await measure(driver, service, rate, options.seconds, options.delay_ms / 1000)
        runs.append(found | {"kept_up": kept_up(found)})
        print(_row(runs[-1]), flush=True)
        good, bad = (rate, bad) if kept_up(found) else (good, rate)
        rate = good * 1.6 if bad is None else (good + bad) / 2
        if bad is not None and bad - good < 0.08 * bad:
            break
    return runs


def overload_faults(found: dict[str, Any]) -> list[str]:
    """What an overloaded service must not do, and did."""
    faults = {
        "answers that are neither 2xx, 429 nor 503, or none": found["errors"],
        "refusals without Retry-After": found["refused_without"],
        "accepted and not triaged": found["lost"],
        "still waiting long after": not found["is_drained"],
        "not ready at the end": not found["is_ready"],
    }
    return [f"{what}: {n}" for what, n in faults.items() if n]


def _needed_cpu_s(service: Started) -> dict[str, float]:
    return {name: tree_cpu_s(pid) for name, pid in service.needed.items()}


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _percentiles(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    return {f"p{q}": round(float(np.percentile(seconds, q)) * 1000, 1) for q in (50, 90, 99, 100)}


_COLUMNS = (
    "rate",
    "accepted/s",
    "done/s",
    "accept p50 / p99 ms",
    "to triaged, beyond the model, p50 / p99 ms",
    "CPU ms an incident",
    "PostgreSQL, Chroma",
    "MiB first / last",
    "MiB an hour",
    "429, 503",
    "errors",
    "lost",
)
_HEAD = f"| {' | '.join(_COLUMNS)} |\n{'| --- ' * len(_COLUMNS)}|"


def _row(found: dict[str, Any]) -> str:
    accept, beyond, memory = found["accept_ms"], found["beyond_model_ms"], found["memory_mib"] or {}
    refused = found["refused_with_retry_after"] + found["refused_without"]
    slope = memory.get("mib_per_hour")
    cells = (
        f"{found['rate']:g}",
        found["accepted_per_s"],
        found["done_per_s"],
        f"{accept.get('p50', '-')} / {accept.get('p99', '-')}",
        f"{beyond.get('p50', '-')} / {beyond.get('p99', '-')}",
        found["cpu_ms_per_incident"] or "-",
        " / ".join(map(str, found["needed_cpu_ms_per_incident"].values())) or "-",
        f"{memory['first_mib']:.0f} / {memory['last_mib']:.0f}" if memory else "-",
        "-" if slope is None else f"{slope:.0f}",
        refused,
        found["errors"],
        found["lost"],
    )
    return f"| {' | '.join(map(str, cells))} |"


async def run(options: argparse.Namespace, service: Started) -> int:
    headers = {"Authorization": f"Bearer {options.key}"} if options.key else {}
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=options.timeout_s)
    faults: list[str] = []
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        driver = Driver(session, service.urls, WriteUps(options.seed), f"load-{options.seed}-{int(time.time())}")
        await driver.drive(min(options.rate, 5.0), _WARM_UP / min(options.rate, 5.0) if options.warm_up else 0)
        await driver.drained(120)
        print(_HEAD, flush=True)
        if options.ramp:
            runs = await ramp(driver, service, options)
        else:
            rate = options.rate * (3 if options.overload else 1)
            runs = [await measure(driver, service, rate, options.seconds, options.delay_ms / 1000)]
            print(_row(runs[0]))
            faults = overload_faults(runs[0]) if options.overload else []
    best = max((found["rate"] for found in runs if found.get("kept_up")), default=None)
    if options.ramp:
        print(f"\nHighest rate that was kept up with: {'none of these' if best is None else f'{best:.3g} a second'}")
    for fault in faults:
        print(f"FAULT {fault}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "load.json").write_text(json.dumps({"runs": runs, "faults": faults}, indent=1) + "\n")
        (options.out / "load.md").write_text("\n".join([_HEAD, *map(_row, runs), "", *faults]) + "\n")
    return 1 if faults else 0


@contextlib.contextmanager
def _service(options: argparse.Namespace) -> Iterator[Started]:
    if options.start:
        with tempfile.TemporaryDirectory() as name, started(options, Path(name)) as service:
            yield service
    else:
        yield Started(options.url, options.pid, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", nargs="+", help="services that run already, one URL for each API process")
    where.add_argument("--start", action="store_true", help="start a service with a fake model, and stop it at the end")
    parser.add_argument("--pid", type=int, nargs="*", default=[], help="with --url: the service's processes, to watch")
    parser.add_argument("--apis", type=int, default=1, help="with --workers: so many `triage serve`")
    parser.add_argument(
        "--workers", type=int, default=0, help="with --start: so many `triage worker`, PostgreSQL and a Chroma server"
    )
    parser.add_argument(
        "--embedder", default="fake", help="with --start: `fake`, which costs the service next to nothing, or `local`"
    )
    parser.add_argument("--setting", action="append", default=[], help="with --start: such as TRIAGE_CONCURRENCY=32")
    parser.add_argument("--rate", type=float, default=10.0, help="posts a second")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long each load lasts")
    parser.add_argument("--delay-ms", type=float, default=50.0, help="how long the fake model takes")
    parser.add_argument("--ramp", action="store_true", help="find the highest rate that is kept up with")
    parser.add_argument("--steps", type=int, default=10, help="with --ramp: so many loads at most")
    parser.add_argument("--overload", action="store_true", help="drive three times the rate and look for faults")
    parser.add_argument("--key", help="an API key, where the service wants one")
    parser.add_argument("--timeout-s", type=float, default=30.0, help="how long to wait for the answer to a post")
    parser.add_argument("--no-warm-up", dest="warm_up", action="store_false")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for load.json and load.md")
    options = parser.parse_args()
    if options.apis > 1 and not options.workers:
        parser.error("several APIs need --workers")
    with _service(options) as service:
        sys.exit(asyncio.run(run(options, service)))


if __name__ == "__main__":
    main()
