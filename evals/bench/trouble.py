"""The pipeline against a provider in trouble: is nothing lost, is nobody kept waiting, is every answer well-formed?

    python -m evals.bench.trouble --incidents 500

The real pipeline with the real embedder asks, over a real socket, a provider that answers 20% of the tries with 429, 5%
with 500, 2% never, 2% with a body that is cut off, 2% with malformed JSON and 1% with a refusal. Then the provider is
down altogether for a while, and comes back: the breaker has to open, let few calls through, and close again. The exit
code is 1 if a line of the bar is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.model_counters import Counters
from triage.app.settings import Settings
from triage.app.wiring.components import Components, open_components
from triage.domain.incident import Incident
from triage.domain.triage_result import Triage

SLACK_S = 1.0
"""How much longer than its deadline an incident may take: the grace of the deadline, and the work itself."""

ROOT = Path(__file__).parents[2]
_SUBJECTS = ("cache cluster", "gateway", "scheduler", "tokenizer service", "storage node", "load balancer", "GPU node")
_FAILURES = ("ran out of connections", "lost power", "served an expired certificate", "crashed after a deployment")


class Provider:
    """The troubled endpoint, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.base_url = self._line()

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def stats(self) -> dict[str, int]:
        self.tell("stats")
        return dict(json.loads(self._line()))

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def provider(seed: int) -> Iterator[Provider]:
    """A troubled endpoint that ends with the block."""
    command = [sys.executable, "-m", "evals.bench.troubled_endpoint", "--seed", str(seed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield Provider(process)
        finally:
            process.kill()


class Outcome(NamedTuple):
    """What came of one incident: its triage or the error, and the seconds that it took."""

    triage: Triage | None
    error: str
    seconds: float

    @property
    def is_right_format(self) -> bool:
        """True if there is a result with every facet decided or abstaining with a reason, and degraded with one."""
        triage = self.triage
        if triage is None or not triage.facets or (triage.degraded and not triage.degraded_reason):
            return False
        return all(bool(facet.labels) or bool(facet.abstention) for facet in triage.facets.values())


class Measured(NamedTuple):
    """The outcomes of one scenario; `bar` maps each line of the bar to whether it was held."""

    outcomes: list[Outcome]
    figures: dict[str, Any]
    bar: dict[str, bool]


async def in_trouble(
    components: Components, counters: Counters, endpoint: Provider, count: int, at_once: int, deadline_s: float
) -> Measured:
    """Incidents while a third of all tries fails."""
    outcomes = await run(components, count, at_once, "trouble")
    asking = sorted(o.triage.provenance.seconds["classify"] for o in outcomes if o.triage)
    reasons = Counter(_kind(o.triage.degraded_reason or "") for o in outcomes if o.triage and o.triage.degraded)
    figures = {
        "incidents": count,
        "right_format": sum(o.is_right_format for o in outcomes) / count,
        "degraded": sum(reasons.values()) / count,
        "degraded_by_reason": dict(reasons),
        "errors": sorted({o.error for o in outcomes if o.error}),
        "asking_p50_s": asking[len(asking) // 2] if asking else None,
        "asking_p99_s": asking[int(0.99 * (len(asking) - 1))] if asking else None,
        "asking_max_s": asking[-1] if asking else None,
        "whole_max_s": max(o.seconds for o in outcomes),
        "deadline_s": deadline_s,
        "retries": sum(counters.retries.values()),
        "calls": sum(counters.calls.values()),
        "errors_by_kind": {kind: n for (_, kind), n in counters.errors.items()},
        "breaker": [state for _, state in counters.breaker_changes],
        "provider": endpoint.stats(),
    }
    bar = {
        "none lost": len({o.triage.incident_id for o in outcomes if o.triage}) == count,
        "all of the right format": figures["right_format"] == 1.0,
        "none blocked longer than its deadline": bool(asking) and asking[-1] <= deadline_s + SLACK_S,
    }
    return Measured(outcomes, figures, bar)


async def down(components: Components, counters: Counters, endpoint: Provider, count: int, at_once: int) -> Measured:
    """Incidents while the provider is down, and one after the other once it is back until the breaker closes."""
    seen = len(counters.breaker_changes)
    was_open = counters.breakers.get("troubled") == "open"
    endpoint.tell("down")
    start = time.perf_counter()
    outcomes = await run(components, count, at_once, "down")
    while_down_s = time.perf_counter() - start
    reached = endpoint.stats().get("while down", 0)
    endpoint.tell("up")
    back = time.perf_counter()
    rejected_fast = [o for o in outcomes if o.triage and "is not called after" in (o.triage.degraded_reason or "")]
    after: list[Outcome] = []
    while "closed" not in _states(counters, seen) and time.perf_counter() - back < _CLOSES_WITHIN_S:
        after += await run(components, 1, 1, f"back-{len(after)}")
        await asyncio.sleep(0.25)
    after += await run(components, 5, 5, "well")
    figures = {
        "incidents": count,
        "seconds_down": while_down_s,
        "tries_that_reached_it_while_down": reached,
        "answered_at_once_by_the_history": len(rejected_fast),
        "seconds_until_it_closed": time.perf_counter() - back,
        "breaker": _states(counters, seen),
        "answered_by_the_model_afterwards": sum(not o.triage.degraded for o in after[-5:] if o.triage),
    }
    all_outcomes = [*outcomes, *after]
    bar = {
        "none lost while down": all(o.is_right_format for o in all_outcomes),
        "the breaker opened": was_open or "open" in _states(counters, seen),
        "few tries reached the provider": reached <= _TRIES_PER_CALL * (at_once + _RUN),
        "the breaker closed again": "closed" in _states(counters, seen),
    }
    return Measured(all_outcomes, figures, bar)


async def run(components: Components, count: int, at_once: int, name: str) -> list[Outcome]:
    """Triage so many different incidents, so many at once."""
    slots = asyncio.Semaphore(at_once)

    async def one(number: int) -> Outcome:
        async with slots:
            start = time.perf_counter()
            try:
                triage, _ = await components.pipeline.run(incident(name, number))
            except Exception as error:  # noqa: BLE001  whatever it is, it is to be reported
                return Outcome(None, f"{type(error).__name__}: {error}", time.perf_counter() - start)
            return Outcome(triage, "", time.perf_counter() - start)

    return await asyncio.gather(*(one(number) for number in range(count)))


def incident(name: str, number: int) -> Incident:
    """A write-up of its own."""
    subject, failure = _SUBJECTS[number % len(_SUBJECTS)], _FAILURES[number % len(_FAILURES)]
    return Incident(
        id=f"{name}-{number}",
        title=f"Requests failed ({name} {number})",
        write_up=f"At {number % 24}:00 the {subject} {failure}. {number + 10} percent of requests failed until it was "
        "restarted.",
    )


async def measure(seed: int, count: int, at_once: int, deadline_s: float, folder: Path) -> tuple[Measured, Measured]:
    """Both scenarios, one after the other, on the same components."""
    counters = Counters()
    with provider(seed) as endpoint:
        settings = Settings(
            model="troubled",
            base_url=endpoint.base_url,
            api_key="key",
            data_dir=folder,
            shipped_history=False,
            model_deadline_s=deadline_s,
            turns=at_once,
            _env_file=None,
        )
        async with open_components(settings, observer=counters) as components:
            await components.pipeline.prepare()
            troubled = await in_trouble(components, counters, endpoint, count, at_once, deadline_s)
            return troubled, await down(components, counters, endpoint, max(count // 4, 2 * at_once), at_once)


def _states(counters: Counters, seen: int) -> list[str]:
    return [state for _, state in counters.breaker_changes[seen:]]


def _kind(reason: str) -> str:
    return next((kind for words, kind in _REASONS.items() if words in reason), reason[:60])


_REASONS = {
    "is not called after": "breaker open",
    "refused to answer": "refusal",
    "no answer within": "deadline",
    "rate limit": "429",
    "failed with status": "5xx",
    "no usable answer": "unusable",
}
_TRIES_PER_CALL = 6
_RUN = 5
_CLOSES_WITHIN_S = 150.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--incidents", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--deadline", type=float, default=10.0, help="seconds for all model calls of an incident")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(options.seed, options.incidents, options.at_once, options.deadline, Path(folder)))
    print(json.dumps({"trouble": found[0].figures, "down": found[1].figures}, indent=2))
    broken = [line for one in found for line, is_held in one.bar.items() if not is_held]
    print("\n".join(f"broken: {line}" for line in broken) or "All lines of the bar hold.")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
