"""A run stops before its budget would be passed, and goes on with a larger one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from triage.domain.taxonomy import Taxonomy
from triage.evaluation import Suite, run_suite
from triage.evaluation.run_budget import Spending
from triage.evaluation.suites import Budget
from triage.models.chat.prices import Price

from .conftest import KeywordTriage, vllm_row
from .records import record

PRICE = Price(prompt=1_000, completion=0)
"""A thousandth of a dollar a token: the triage of these tests takes 10 tokens a case."""


async def test_no_case_is_begun_that_could_pass_the_budget(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy, tmp_path: Path
) -> None:
    write_jsonl(*(vllm_row(n, "power") for n in range(12)))
    for budget, done in (({"tokens": 65}, 6), ({"calls": 4}, 4), ({"cost": 0.05}, 5)):
        suite = write_suite(budget=budget, concurrency=4)
        run = await run_suite(
            suite,
            suite.load_data(small),
            small,
            KeywordTriage(small),
            tmp_path / "-".join(budget),
            price=PRICE,
        )
        assert len(run.records) == done, budget
        assert run.stopped is not None
        assert "are spent, and another case may pass it" in run.stopped


async def test_with_a_larger_budget_the_rest_is_run_and_nothing_twice(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy, tmp_path: Path
) -> None:
    write_jsonl(*(vllm_row(n, "power") for n in range(12)))
    subject = KeywordTriage(small)
    for tokens, done in ((50, 5), (50, 5), (1_000, 12)):
        suite = write_suite(budget={"tokens": tokens})
        run = await run_suite(suite, suite.load_data(small), small, subject, tmp_path / "run", price=PRICE)
        assert len(run.records) == done
    assert run.stopped is None
    assert len(subject.asked) == len(set(subject.asked)) == 12


def test_a_budget_in_money_without_a_price_begins_nothing() -> None:
    spending = Spending(Budget(cost=1.0), None)
    assert not spending.allows(0)
    assert "set TRIAGE_PRICES" in str(spending.stopped)


def test_replies_from_the_cache_cost_nothing_and_time_does() -> None:
    now = [0.0]
    spending = Spending(Budget(tokens=150, minutes=2), PRICE, clock=lambda: now[0])
    taken = record("a", ["power"], ["power"], tokens=100, seconds=30.0)
    assert taken.provenance is not None
    cached = taken.provenance.model_copy(update={"cached_calls": 1, "cached_prompt_tokens": 100})
    spending.finish(taken.model_copy(update={"provenance": cached}))
    assert spending.allows(3)
    spending.finish(taken)
    assert not spending.allows(0)
    fresh = Spending(Budget(minutes=2), PRICE, [taken], clock=lambda: now[0])
    now[0] = 80.0
    assert fresh.allows(0)
    now[0] = 100.0
    assert not fresh.allows(0)
    assert "of 2 minutes are spent" in str(fresh.stopped)
