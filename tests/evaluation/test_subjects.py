"""The model alone as a suite's subject: what it is asked, and how its answers are kept, retried and resumed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fake_openai import Answer, Behaviour, Chosen, FakeOpenAI, Status
from triage.app.settings import Settings
from triage.app.wiring.suites import open_subject
from triage.domain.errors import MisconfiguredService
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import Run, Suite, run_suite
from triage.evaluation.journal import CaseRecord
from triage.models.chat.gate import Gate, Limits

from .conftest import vllm_row

CAUSES = ("power", "network", "code")


@pytest.fixture
def suite(write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path]) -> Suite:
    write_jsonl(*(vllm_row(n, CAUSES[n % 3]) for n in range(12)))
    return write_suite(subject="model", history="none", concurrency=4)


@pytest.fixture
def settings(fake_openai: FakeOpenAI) -> Settings:
    fake_openai.otherwise = Chosen(said)
    return Settings(model="any-model", base_url=fake_openai.base_url, api_key="a-key")  # type: ignore[arg-type]


def said(body: dict[str, Any]) -> str | Behaviour:
    """The cause whose name stands in the write-up."""
    text = body["messages"][-1]["content"]
    cause = next(cause for cause in CAUSES if f"the {cause} part" in text)
    answer = {"labels": [cause], "certainty": 90, "runner_up": "code", "quotes": [f"the {cause} part", "not there"]}
    return json.dumps({"cause": answer, "rationale": ""})


async def run(suite: Suite, taxonomy: Taxonomy, settings: Settings, out: Path, **more: Any) -> Run:
    gate = Gate(Limits(at_once=suite.concurrency))
    async with open_subject(settings, suite, taxonomy, gate=gate, cache=out / "cache") as (subject, decisive):
        data = suite.load_data(taxonomy)
        return await run_suite(suite, data, taxonomy, subject, out / "run", settings=decisive, gate=gate, **more)


def kept(record: CaseRecord) -> dict[str, Any]:
    """A record without what time and the cache change."""
    return record.model_dump(exclude={"seconds", "provenance"})


async def test_the_model_alone_answers_from_the_write_up_and_its_quotes_are_checked(
    suite: Suite, small: Taxonomy, settings: Settings, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    result = await run(suite, small, settings, tmp_path)

    first = result.records[0]
    assert [record.predicted["cause"] for record in result.records] == [
        record.gold["cause"] for record in result.records
    ]
    assert first.sources["cause"]["model"]["power"] == pytest.approx(0.9)
    assert (first.origins, first.neighbours, first.evidence) == ({"cause": "model"}, (), {"cause": 1})
    assert first.provenance is not None
    assert (first.provenance.model_calls, first.provenance.retries, first.provenance.dropped_quotes) == (1, 0, 1)
    assert len(fake_openai.requests) == 12
    assert all("hall" in body["messages"][-1]["content"] for body in fake_openai.requests)


async def test_what_is_secret_does_not_reach_the_model(
    suite: Suite,
    small: Taxonomy,
    settings: Settings,
    fake_openai: FakeOpenAI,
    write_jsonl: Callable[..., Path],
    tmp_path: Path,
) -> None:
    long = "All was well for a while. " * 300
    texts = [f"{more}In Oslo the power part stopped, ask ops@corp.example." for more in ("", long)]
    write_jsonl(*(vllm_row(n, "power", text) for n, text in enumerate(texts)))
    await run(suite, small, settings, tmp_path)

    assert len(fake_openai.requests) == 2
    assert "ops@corp.example" not in json.dumps(fake_openai.requests)


async def test_retries_stand_in_the_record_of_their_case(
    suite: Suite, small: Taxonomy, settings: Settings, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    fake_openai.script(Status(429, headers={"retry-after": "0.05"}), Status(500))
    result = await run(suite, small, settings, tmp_path)

    retries = [record.provenance.retries for record in result.records if record.provenance]
    assert sum(retries) == 2
    assert len(fake_openai.requests) == 14
    assert {record.status for record in result.records} == {"done"}


async def test_while_calls_wait_for_their_retry_others_use_their_slots(
    suite: Suite, small: Taxonomy, settings: Settings, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    fake_openai.script(*[Status(429, headers={"retry-after": "1.5"})] * 4)
    finished: list[float] = []
    clock = asyncio.get_running_loop().time
    started = clock()
    await run(suite, small, settings, tmp_path, finished=lambda _: finished.append(clock() - started))

    # Four slots, four calls that wait: at twelve open cases the other eight are done before the first retry is due.
    assert len([when for when in finished if when < 1.5]) == 8


async def test_after_an_interrupt_an_answer_that_came_is_not_asked_for_again(
    suite: Suite, small: Taxonomy, settings: Settings, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    def stop(record: CaseRecord) -> None:
        if len(fake_openai.requests) > 5:
            raise MisconfiguredService("stop here")

    with pytest.raises(MisconfiguredService):
        await run(suite, small, settings, tmp_path, finished=stop)
    result = await run(suite, small, settings, tmp_path)
    whole = await run(suite, small, settings, tmp_path / "other")

    assert list(map(kept, result.records)) == list(map(kept, whole.records))
    assert len(fake_openai.requests) <= 24 + suite.concurrency


async def test_a_second_run_over_the_same_questions_costs_nothing(
    suite: Suite, small: Taxonomy, settings: Settings, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    first = await run(suite, small, settings, tmp_path)
    (tmp_path / "run" / "cases.jsonl").unlink()
    again = await run(suite, small, settings, tmp_path)

    assert len(fake_openai.requests) == 12
    assert list(map(kept, again.records)) == list(map(kept, first.records))
    cached = [record.provenance for record in again.records if record.provenance]
    assert sum(about.cached_calls for about in cached) == 12
    assert all(about.cached_prompt_tokens == about.prompt_tokens > 0 for about in cached)


async def test_an_answer_that_is_no_label_is_an_abstention_and_not_paid_for_again(
    suite: Suite, small: Taxonomy, settings: Settings, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    fake_openai.script(*[Answer("no JSON")] * 2)
    one = suite.model_copy(update={"limit": 1})
    first = await run(one, small, settings, tmp_path)
    again = await run(one, small, settings, tmp_path)

    assert first.records[0].predicted == {"cause": ()}
    assert "no usable answer" in first.records[0].abstentions["cause"]
    assert again.records == first.records
    assert len(fake_openai.requests) == 2


async def test_a_case_that_failed_is_asked_anew(
    suite: Suite, small: Taxonomy, settings: Settings, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    fake_openai.script(Status(401))
    one = suite.model_copy(update={"limit": 1})
    failed = await run(one, small, settings, tmp_path)
    resumed = await run(one, small, settings, tmp_path)

    assert failed.records[0].status == "failed"
    assert resumed.records[0].status == "done"
    assert len(fake_openai.requests) == 2


async def test_an_unreachable_model_fails_the_case_instead_of_degrading_it(
    suite: Suite, small: Taxonomy, settings: Settings, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    fake_openai.otherwise = Status(401)
    result = await run(suite, small, settings, tmp_path)

    assert {record.status for record in result.records} == {"failed"}


async def test_without_a_model_there_is_nothing_to_examine(suite: Suite, small: Taxonomy) -> None:
    with pytest.raises(MisconfiguredService, match="TRIAGE_MODEL is none"):
        async with open_subject(Settings(model="none"), suite, small):
            pass


def test_the_usual_subject_leaves_fingerprints_as_they_were(write_suite: Callable[..., Suite]) -> None:
    assert write_suite().fingerprint == write_suite(subject="pipeline").fingerprint
    assert write_suite().fingerprint != write_suite(subject="model").fingerprint
