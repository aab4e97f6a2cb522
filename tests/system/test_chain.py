"""The chain of models as the settings wire it: fallbacks, budget and what an answer says about them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fake_openai import Answer, Behaviour, Chosen, FakeOpenAI, Refusal, Status
from tests.model_counters import Counters
from triage.app.settings import Settings
from triage.app.wiring.components import Components, open_components
from triage.domain.errors import MisconfiguredService
from triage.domain.incident import Incident

INCIDENT = Incident(id="a", write_up="The cache cluster ran out of connections, so requests failed for an hour.")


def only(model: str, behaviour: Behaviour) -> Chosen:
    """That behaviour for one model, and good answers from all others."""
    return Chosen(lambda body: behaviour if body["model"] == model else Answer())


@pytest.fixture
def settings(tmp_path: Path, fake_openai: FakeOpenAI) -> Settings:
    prices = tmp_path / "prices.yaml"
    prices.write_text("big: {prompt: 10, completion: 20}\nsmall: {prompt: 1, completion: 2}\n")
    return Settings(
        model="big",
        base_url=fake_openai.base_url,
        api_key="key",
        embedding_model="embedder",
        fallback_models=("small",),
        prices=prices,
        data_dir=tmp_path,
        shipped_history=False,
        model_deadline_s=2.0,
        _env_file=None,
    )


@asynccontextmanager
async def components_of(settings: Settings, **changes: object) -> AsyncIterator[tuple[Components, Counters]]:
    counters = Counters()
    async with open_components(settings.model_copy(update=changes), observer=counters) as components:
        yield components, counters


async def test_a_well_model_answers_and_says_what_it_cost(settings: Settings) -> None:
    async with components_of(settings) as (components, counters):
        triage, _ = await components.pipeline.run(INCIDENT)
        kept = await components.store.spending.list()

    assert not triage.degraded
    source = triage.provenance
    assert (source.model, source.model_deadline_s) == ("big", 2.0)
    assert source.cost == pytest.approx((source.prompt_tokens * 10 + source.completion_tokens * 20) / 1e6)
    assert counters.cost["big"] == pytest.approx(source.cost)
    assert [(one.model, one.calls, one.prompt_tokens) for one in kept] == [("big", 1, source.prompt_tokens)]


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        (Status(401), "does not accept the key"),
        (Refusal("Not that."), "refused to answer: Not that."),
        (Answer(delay_s=30), "gave no answer within 1 s"),
        (Answer("no JSON at all"), "no usable answer in two tries"),
    ],
)
async def test_a_fallback_answers_in_its_place_and_the_answer_says_so(
    settings: Settings, fake_openai: FakeOpenAI, behaviour: Behaviour, why: str
) -> None:
    fake_openai.otherwise = only("big", behaviour)
    async with components_of(settings) as (components, _):
        triage, _ = await components.pipeline.run(INCIDENT)

    assert triage.degraded
    assert triage.provenance.model == "small"
    assert triage.facets["category"].origin != "history"
    reason = triage.degraded_reason or ""
    assert reason.startswith("big: ")
    assert why in reason
    assert reason.endswith("The answer is that of small in its place.")
    assert triage.provenance.seconds["classify"] < 2.0


async def test_with_no_model_left_the_history_answers_within_the_deadline(
    settings: Settings, fake_openai: FakeOpenAI
) -> None:
    fake_openai.otherwise = Answer(delay_s=30)
    async with components_of(settings) as (components, _):
        triage, _ = await components.pipeline.run(INCIDENT)

    assert triage.degraded
    assert triage.facets["category"].distribution
    assert all(f"{model}: The model gave no answer" in (triage.degraded_reason or "") for model in ("big", "small"))
    assert triage.provenance.cost is None
    assert triage.provenance.seconds["classify"] < 2.6


async def test_a_used_up_budget_is_answered_for_by_the_history(settings: Settings, fake_openai: FakeOpenAI) -> None:
    async with components_of(settings, fallback_models=(), daily_tokens=10) as (components, counters):
        first, _ = await components.pipeline.run(INCIDENT)
        second, _ = await components.pipeline.run(INCIDENT)

    assert not first.degraded
    assert (second.degraded_reason or "").startswith("The budget of 10 tokens for 20")
    assert "It resets at 00:00 UTC. The labels come from the history" in (second.degraded_reason or "")
    assert sum(body["model"] == "big" for body in fake_openai.requests) == counters.calls["big"] == 1


async def test_a_breaker_that_opened_costs_no_time_and_is_told_of(settings: Settings, fake_openai: FakeOpenAI) -> None:
    fake_openai.otherwise = only("big", Status(500))
    async with components_of(settings, model_deadline_s=1.0) as (components, counters):
        triages = [(await components.pipeline.run(INCIDENT)).triage for _ in range(8)]
    asked = sum(body["model"] == "big" for body in fake_openai.requests)

    assert counters.breakers == {"big": "open"}
    assert "big is not called after 5 failures" in (triages[-1].degraded_reason or "")
    assert triages[-1].provenance.seconds["classify"] < 0.3
    assert counters.calls["big"] == 5
    assert asked == 5 + counters.retries["big"]


async def test_a_budget_in_dollars_needs_a_price(settings: Settings) -> None:
    with pytest.raises(MisconfiguredService, match="no price for 'tiny'"):
        async with components_of(settings, fallback_models=("tiny",), daily_cost=1.0):
            pass


@pytest.mark.parametrize("name", ["none", "big", "replay:somewhere"])
async def test_a_fallback_that_is_none_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(MisconfiguredService, match="TRIAGE_FALLBACK_MODELS"):
        async with components_of(settings, fallback_models=(name,)):
            pass
