"""Kill parts of the running service under load, and check that nothing that was accepted is lost or done twice.

    python -m evals.bench.chaos --rounds 6 --incidents 50 --seed 1
    python -m evals.bench.chaos --rounds 6 --incidents 50 --seed 1 --notifications --index

Each round clients post `--incidents` write-ups within `--seconds`, to whichever API answers; who got no 202 posts the
same id again. At a seeded moment of it one part is killed (SIGKILL; PostgreSQL: immediate shutdown) and started again
after a seeded pause. The model is a fake endpoint in a process of its own. When all is quiet it is checked that every
accepted incident has exactly one stored triage and none waits or failed; with `--notifications` that one notification
of each was sent, with `--index` that the index fits the store. It prints JSON and ends with 1 if anything is wrong.
Everything stays on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import sqlalchemy
from aiohttp import web

from evals.bench.runner import asked, endpoint, make_answers
from evals.bench.topology import Topology, data_folder

_POST_WITHIN_S = 90.0
_CAUSES = ("the Redis cluster ran out of connections", "a network switch failed", "the GPU ran out of memory")


class Kill(NamedTuple):
    """Who is killed, when in its round, and how long it stays dead; in seconds."""

    victim: str
    after_s: float
    dead_s: float


class Outcome(NamedTuple):
    """What became of all that was posted. `violations` is empty if the service kept its word."""

    accepted: int
    refused: int
    kills: list[str]
    seconds: float
    quiet_after_s: float
    posts_tried_again: int
    model_calls: int
    violations: list[str]


def plan(rounds: int, seed: int, names: Collection[str], seconds: float) -> list[Kill]:
    """One kill a round. Each kind of part has its turn before any has its second."""
    draw = random.Random(seed)
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in names:
        kinds[name.partition("-")[0]].append(name)
    turns: list[str] = []
    while len(turns) < rounds:
        turns += draw.sample(sorted(kinds), len(kinds))
    return [
        Kill(draw.choice(kinds[kind]), draw.uniform(0.1, 0.8) * seconds, draw.uniform(0.2, 3.0))
        for kind in turns[:rounds]
    ]


class Clients:
    """Clients that post incidents until they are accepted."""

    def __init__(self, urls: list[str], seed: int) -> None:
        self._urls = urls
        self._draw = random.Random(seed)
        self.accepted: list[str] = []
        self.given_up: list[str] = []
        self.tried_again = 0

    async def post(self, client: httpx.AsyncClient, number: int) -> None:
        """Post one incident, to another API after each failure."""
        incident_id = f"chaos-{number}"
        cause = _CAUSES[number % len(_CAUSES)]
        text = f"Completions fail since noon. We found that {cause}. A restart of the service helped. [case {number}]"
        deadline = time.monotonic() + _POST_WITHIN_S
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                url = f"{self._draw.choice(self._urls)}/v1/incidents"
                answer = await client.post(url, json={"id": incident_id, "title": "Errors", "write_up": text})
                if answer.status_code in (200, 202):
                    self.accepted.append(incident_id)
                    return
            self.tried_again += 1
            await asyncio.sleep(0.2)
        self.given_up.append(incident_id)


class Receiver:
    """Takes the notifications, and now and then refuses one so that it has to come again."""

    def __init__(self) -> None:
        self.by_incident: dict[str, set[str]] = defaultdict(set)
        self.deliveries: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """The URL at which it listens."""
        app = web.Application()
        app.router.add_post("/", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        webhook_id, body = request.headers["webhook-id"], await request.json()
        self.deliveries[webhook_id] += 1
        if self.deliveries[webhook_id] == 1 and sum(self.deliveries.values()) % 10 == 0:
            return web.Response(status=503)
        self.by_incident[body["data"]["incident_id"]].add(webhook_id)
        return web.Response(status=204)


async def run(
    topology: Topology, *, rounds: int, incidents: int, seed: int, seconds: float, receiver: Receiver | None = None
) -> Outcome:
    """Kill and post for so many rounds, then wait until all is quiet and check."""
    began = time.monotonic()
    clients, numbers = Clients(topology.api_urls, seed), itertools.count()
    kills = plan(rounds, seed, topology.names, seconds)
    async with httpx.AsyncClient(timeout=10) as client:
        for kill in kills:
            killing = asyncio.create_task(_kill(topology, kill))
            posting = []
            for _ in range(incidents):
                posting.append(asyncio.create_task(clients.post(client, next(numbers))))
                await asyncio.sleep(seconds / incidents)
            await asyncio.gather(killing, *posting)
    loaded_until = time.monotonic()
    await _quiet(topology.database_url, clients.accepted, loaded_until + 120)
    quiet_after_s = time.monotonic() - loaded_until
    violations = [f"{name} was never accepted" for name in clients.given_up]
    violations += await asyncio.to_thread(_check, topology.database_url, clients.accepted)
    violations += [f"{name} is not running" for name in topology.names if not topology.is_running(name)]
    if receiver is not None:
        violations += await _check_notifications(receiver, clients.accepted)
    return Outcome(
        accepted=len(clients.accepted),
        refused=len(clients.given_up),
        kills=[kill.victim for kill in kills],
        seconds=round(time.monotonic() - began, 1),
        quiet_after_s=round(quiet_after_s, 1),
        posts_tried_again=clients.tried_again,
        model_calls=0,
        violations=violations,
    )


async def _kill(topology: Topology, kill: Kill) -> None:
    await asyncio.sleep(kill.after_s)
    await asyncio.to_thread(topology.kill, kill.victim)
    await asyncio.sleep(kill.dead_s)
    await asyncio.to_thread(topology.restart, kill.victim)


async def _quiet(url: str, accepted: Collection[str], deadline: float) -> None:
    while time.monotonic() < deadline:
        states = await asyncio.to_thread(_states, url)
        if all(states.get(name) == "triaged" for name in accepted):
            return
        await asyncio.sleep(0.5)


def _states(url: str) -> dict[str, str]:
    return {row.id: row.status for row in _rows(url, "SELECT id, status FROM incidents WHERE id LIKE 'chaos-%'")}


def _check(url: str, accepted: Collection[str]) -> list[str]:
    states = _states(url)
    stored = {row[0]: row[1] for row in _rows(url, "SELECT incident_id, count(*) FROM triages GROUP BY incident_id")}
    found = [f"{name} was accepted and is {states.get(name)}" for name in accepted if states.get(name) != "triaged"]
    found += [f"{name} has {stored.get(name, 0)} triages" for name in accepted if stored.get(name, 0) != 1]
    found += [f"{name} is {state}" for name, state in states.items() if state != "triaged" and name not in accepted]
    return found


def _rows(url: str, query: str) -> list[Any]:
    engine = sqlalchemy.create_engine(sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with engine.connect() as connection:
            return list(connection.execute(sqlalchemy.text(query)))
    finally:
        engine.dispose()


async def _check_notifications(receiver: Receiver, accepted: Collection[str], within_s: float = 120) -> list[str]:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if all(receiver.by_incident[name] for name in accepted):
            break
        await asyncio.sleep(0.5)
    # One too many could still be under way.
    await asyncio.sleep(2)
    sent = {name: len(receiver.by_incident[name]) for name in accepted}
    return [f"{name} was notified {times} times" for name, times in sent.items() if times != 1]


async def _subscribe(topology: Topology, url: str) -> None:
    async with httpx.AsyncClient(timeout=10) as client:
        body = {"url": url, "events": ["triaged"]}
        (await client.post(f"{topology.api_urls[0]}/v1/subscriptions", json=body)).raise_for_status()


def _check_index(topology: Topology) -> list[str]:
    command = [str(Path(sys.executable).with_name("triage")), "index", "verify"]
    done = subprocess.run(command, env=topology.environment(), capture_output=True, text=True, timeout=120, check=False)
    return (
        [] if done.returncode == 0 else [f"The index does not fit the store: {done.stdout[-500:]}{done.stderr[-500:]}"]
    )


async def _main(options: argparse.Namespace) -> Outcome:
    with data_folder(options.folder) as folder, endpoint(make_answers(folder), "--latency", "0.3") as model:
        settings = {
            "TRIAGE_MODEL": "any",
            "TRIAGE_BASE_URL": model,
            "OPENAI_API_KEY": "none",
            # Many processes on few cores: less at a time, and each start is paid by all.
            "TRIAGE_CONCURRENCY": "4",
            "TRIAGE_PRIVATE_WEBHOOKS": "true",
            "TRIAGE_SHIPPED_HISTORY": "false" if options.small else "true",
        }
        parts = Topology(folder, apis=options.apis, workers=options.workers, settings=settings)
        await asyncio.to_thread(parts.start)
        try:
            async with contextlib.AsyncExitStack() as stack:
                receiver = None
                if options.notifications:
                    receiver = Receiver()
                    await _subscribe(parts, await stack.enter_async_context(receiver.listening()))
                outcome = await run(
                    parts,
                    rounds=options.rounds,
                    incidents=options.incidents,
                    seed=options.seed,
                    seconds=options.seconds,
                    receiver=receiver,
                )
            if options.index:
                outcome = outcome._replace(violations=[*outcome.violations, *_check_index(parts)])
            return outcome._replace(model_calls=asked(model, "/stats")["requests"])
        finally:
            await asyncio.to_thread(parts.stop)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4, help="kills")
    parser.add_argument("--incidents", type=int, default=50, help="posted in each round")
    parser.add_argument("--seconds", type=float, default=8.0, help="in which each round posts them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="without the shipped history: starts in half the time")
    parser.add_argument("--notifications", action="store_true", help="check the notifications too")
    parser.add_argument("--index", action="store_true", help="check the index too")
    parser.add_argument("--folder", type=Path, help="for data and logs; a temporary one if left out")
    # Ended by a supervisor, it still ends what it started.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    outcome = asyncio.run(_main(parser.parse_args()))
    print(json.dumps(outcome._asdict(), indent=2))
    sys.exit(1 if outcome.violations else 0)


if __name__ == "__main__":
    main()
