"""What a run's progress says, against a clock of the test."""

from __future__ import annotations

from typing import Any

import pytest

from triage.domain.triage_result import Provenance
from triage.evaluation.journal import CaseRecord
from triage.evaluation.run_progress import RunProgress
from triage.models.chat.gate import Gate
from triage.models.chat.prices import Price


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Waiting(Gate):
    """A gate whose last waiting call is due in so many seconds."""

    longest_wait_s = 0.0  # type: ignore[assignment]


def record(**took: Any) -> CaseRecord:
    about = {"prompt_tokens": 1_000, "completion_tokens": 100, "model_calls": 1} | took
    return CaseRecord(
        case_id="one",
        status="done",
        gold={},
        seconds=1,
        provenance=Provenance(taxonomy="t", taxonomy_version="1", **about),
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


def run_for(pace: RunProgress, clock: Clock, cases: int, each_s: float) -> None:
    for _ in range(cases):
        clock.now += each_s
        pace.finish(record())
        pace.reached(pace.done + 1, pace.total)


def test_the_rate_is_that_of_the_last_half_minute(clock: Clock) -> None:
    pace = RunProgress(Gate(), None, clock)
    pace.reached(0, 1_000)
    assert pace.rate is None
    assert pace.eta_s is None

    run_for(pace, clock, 10, 0.5)
    assert pace.rate == pytest.approx(2.0)
    assert pace.eta_s == pytest.approx(495)

    run_for(pace, clock, 40, 2.0)
    assert pace.rate == pytest.approx(0.5, rel=0.1)


def test_when_nothing_finishes_the_end_moves_away(clock: Clock) -> None:
    pace = RunProgress(Gate(), None, clock)
    pace.reached(0, 100)
    run_for(pace, clock, 50, 0.1)
    soon = pace.eta_s
    clock.now += 15
    later = pace.eta_s

    assert soon is not None
    assert later is not None
    assert later > 3 * soon

    clock.now += 40
    assert pace.eta_s is None


def test_the_end_is_not_before_the_last_waiting_call_tries_again(clock: Clock) -> None:
    gate = Waiting()
    pace = RunProgress(gate, None, clock)
    pace.reached(0, 11)
    run_for(pace, clock, 10, 0.1)
    gate.longest_wait_s = 20.0

    assert pace.eta_s == 20.0


def test_cases_from_the_cache_and_from_earlier_sessions_promise_no_speed(clock: Clock) -> None:
    pace = RunProgress(Gate(), None, clock)
    pace.reached(500, 1_000)
    clock.now += 1
    pace.finish(record(cached_calls=1, cached_prompt_tokens=1_000, cached_completion_tokens=100))
    pace.reached(501, 1_000)

    assert pace.rate is None
    assert (pace.prompt_tokens, pace.completion_tokens, pace.cached_calls) == (0, 0, 1)
    assert "1 cached" in str(pace)


def test_a_cost_is_told_where_the_price_is_known_and_never_guessed(clock: Clock) -> None:
    known, unknown = RunProgress(Gate(), Price(prompt=1, completion=10), clock), RunProgress(Gate(), None, clock)
    for pace in (known, unknown):
        pace.reached(0, 2_000)
        run_for(pace, clock, 1_000, 0.1)

    assert known.cost == pytest.approx(2.0)
    assert "$2.00" in str(known)
    assert unknown.cost is None
    assert "cost unknown" in str(unknown)
    assert "1.0M+100.0k tokens" in str(unknown)
