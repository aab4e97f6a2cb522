"""Runs: nothing is done twice, nothing is lost, and no case sees itself."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from triage.domain.errors import MisconfiguredService, NotFound
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Provenance, Triage
from triage.evaluation import Case, Dataset, Run, RunIdentity, RunMismatch, Suite, default_folder, run_suite
from triage.evaluation.runs import cases_of
from triage.history.chroma import ChromaHistory
from triage.intake.data_files import InvalidDataset
from triage.observability.progress import Progress

from .conftest import KeywordTriage, vllm_row

CAUSES = ("power", "network", "code")


@pytest.fixture
def suite(write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path]) -> Suite:
    write_jsonl(*(vllm_row(n, CAUSES[n % 3]) for n in range(12)))
    return write_suite(concurrency=3)


@pytest.fixture
def data(suite: Suite, small: Taxonomy) -> Dataset:
    return suite.load_data(small)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


async def test_a_run_records_every_case_in_the_order_of_the_data(
    suite: Suite, data: Dataset, small: Taxonomy, folder: Path
) -> None:
    subject = KeywordTriage(small)
    steps: list[tuple[str, int, int]] = []
    run = await run_suite(suite, data, small, subject, folder, progress=lambda *step: steps.append(step))
    ids = [f"vllm-{n}" for n in range(12)]
    assert [record.case_id for record in run.records] == ids
    assert [json.loads(line)["case_id"] for line in (folder / "cases.jsonl").read_text().splitlines()] == ids
    assert Run.read(folder).records == run.records
    assert subject.most_at_once == 3
    assert steps[:2] == [("history", 12, 12), ("cases", 0, 12)]
    assert steps[-1] == ("cases", 12, 12)
    first = run.records[0]
    assert first.predicted["cause"] == first.gold["cause"] == ("power",)
    assert first.distributions["cause"] == {"power": 0.8}
    assert run.records[3].degraded_reason == "the model did not answer"


async def test_resuming_after_an_interrupt_does_not_repeat_finished_cases(
    suite: Suite, data: Dataset, small: Taxonomy, folder: Path
) -> None:
    interrupted = KeywordTriage(small)
    running = asyncio.create_task(
        run_suite(
            suite, data, small, interrupted, folder, progress=lambda *step: running.cancel() if step[1] == 5 else None
        )
    )
    with pytest.raises(asyncio.CancelledError):
        await running
    finished = {record.case_id for record in Run.read(folder).records}
    # Others may end in the very moment in which the fifth does.
    assert 5 <= len(finished) < 12
    assert finished <= set(interrupted.asked)

    resumed = KeywordTriage(small)
    run = await run_suite(suite, data, small, resumed, folder)
    assert set(resumed.asked) == {case.id for case in data.cases} - finished
    assert [record.case_id for record in run.records] == [case.id for case in data.cases]
    assert run.resumed == len(finished)

    again = KeywordTriage(small)
    assert (await run_suite(suite, data, small, again, folder)).records == run.records
    assert (again.asked, again.prepared) == ([], 0)


async def test_a_line_torn_by_a_crash_is_run_again_and_leaves_no_trace(
    suite: Suite, data: Dataset, small: Taxonomy, folder: Path
) -> None:
    await run_suite(suite, data, small, KeywordTriage(small), folder)
    journal = folder / "cases.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    resumed = KeywordTriage(small)
    run = await run_suite(suite, data, small, resumed, folder)
    assert resumed.asked == ["vllm-11"]
    assert len(run.records) == 12
    assert len(journal.read_text().splitlines()) == 12


async def test_a_damaged_line_in_the_middle_is_named(
    suite: Suite, data: Dataset, small: Taxonomy, folder: Path
) -> None:
    await run_suite(suite, data, small, KeywordTriage(small), folder)
    journal = folder / "cases.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([lines[0], lines[1][:30], *lines[2:]]) + "\n")
    with pytest.raises(InvalidDataset, match="line 2: is not a case record"):
        await run_suite(suite, data, small, KeywordTriage(small), folder)


async def test_a_failed_case_is_recorded_and_tried_again(
    suite: Suite, data: Dataset, small: Taxonomy, folder: Path
) -> None:
    run = await run_suite(suite, data, small, KeywordTriage(small, fails_on={"vllm-4"}), folder)
    assert [(r.case_id, r.error) for r in run.records if r.status == "failed"] == [
        ("vllm-4", "TimeoutError: no answer in 60 s")
    ]
    resumed = KeywordTriage(small)
    run = await run_suite(suite, data, small, resumed, folder)
    assert resumed.asked == ["vllm-4"]
    assert {record.status for record in run.records} == {"done"}


async def test_the_place_of_the_evidence_in_the_text_is_recorded(
    suite: Suite, data: Dataset, small: Taxonomy, folder: Path
) -> None:
    run = await run_suite(suite, data, small, KeywordTriage(small), folder)
    texts = {case.id: case.incident.text for case in data.cases}
    for record in Run.read(run.folder).records:
        quoted = [texts[record.case_id][start:end] for start, end in record.evidence_spans["cause"]]
        assert quoted == list(record.predicted["cause"])


async def test_degraded_cases_are_tried_again_when_asked(
    suite: Suite, data: Dataset, small: Taxonomy, folder: Path
) -> None:
    await run_suite(suite, data, small, KeywordTriage(small), folder)
    resumed = KeywordTriage(small)
    await run_suite(suite, data, small, resumed, folder, retry_degraded=True)
    assert resumed.asked == ["vllm-3"]


async def test_a_service_that_is_not_set_up_ends_the_run_at_once(
    suite: Suite, data: Dataset, small: Taxonomy, folder: Path
) -> None:
    class Unprepared(KeywordTriage):
        async def run(self, incident: Incident, **_: Any) -> Triage:
            self.asked.append(incident.id)
            raise MisconfiguredService("the weights are missing")

    subject = Unprepared(small)
    with pytest.raises(MisconfiguredService, match="weights"):
        await run_suite(suite, data, small, subject, folder)
    assert len(subject.asked) <= 3
    assert Run.read(folder).records == ()


async def test_another_suite_setting_or_data_needs_another_folder(
    suite: Suite, data: Dataset, small: Taxonomy, folder: Path
) -> None:
    await run_suite(suite, data, small, KeywordTriage(small), folder, settings={"model": "a"})
    with pytest.raises(RunMismatch, match="model \\(was 'a', is 'b'\\)"):
        await run_suite(suite, data, small, KeywordTriage(small), folder, settings={"model": "b"})
    other, changed = suite.model_copy(update={"seed": 5}), data.model_copy(update={"sha256": "0"})
    with pytest.raises(RunMismatch, match="differs in: suite"):
        await run_suite(other, data, small, KeywordTriage(small), folder, settings={"model": "a"})
    with pytest.raises(RunMismatch, match="differs in: data"):
        await run_suite(suite, changed, small, KeywordTriage(small), folder, settings={"model": "a"})
    one, two = (
        default_folder(folder, suite, RunIdentity.of(suite, data, small, {"model": model})) for model in ("a", "b")
    )
    assert one != two
    assert one.name.startswith("small-")


async def test_a_folder_in_use_or_without_a_run_is_refused(
    suite: Suite, data: Dataset, small: Taxonomy, folder: Path
) -> None:
    running = asyncio.create_task(run_suite(suite, data, small, KeywordTriage(small), folder))
    await asyncio.sleep(0.005)
    with pytest.raises(RunMismatch, match="Another process"):
        await run_suite(suite, data, small, KeywordTriage(small), folder)
    await running
    with pytest.raises(NotFound, match="holds no run"):
        Run.read(folder / "nothing")


async def test_a_sample_can_grow_into_the_whole_run(suite: Suite, data: Dataset, small: Taxonomy, folder: Path) -> None:
    few = await run_suite(suite.model_copy(update={"limit": 4}), data, small, KeywordTriage(small), folder)
    rest = KeywordTriage(small)
    run = await run_suite(suite, data, small, rest, folder)
    assert len(few.records) == 4
    assert len(rest.asked) == 8
    assert len(run.records) == 12
    assert len(rest.history) == 12


async def test_a_case_never_sees_itself_its_copies_or_its_fold(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy, folder: Path
) -> None:
    copies = [vllm_row(50, "code", "The code failed."), vllm_row(51, "code", "the  code FAILED.")]
    write_jsonl(*(vllm_row(n, CAUSES[n % 3]) for n in range(12)), *copies)
    suite = write_suite(history={"folds": 3})
    data, subject = suite.load_data(small), KeywordTriage(small)
    run = await run_suite(suite, data, small, subject, folder)
    folds = suite.folds_of(data.cases)
    assert folds is not None
    for record in run.records:
        same = {case_id for case_id, fold in folds.items() if fold == record.fold}
        copy = {"vllm-50", "vllm-51"} if record.case_id in {"vllm-50", "vllm-51"} else set()
        assert subject.excluded[record.case_id] == same | copy | {record.case_id}

    alone = write_suite(history="none")
    empty = KeywordTriage(small)
    await run_suite(alone, data, small, empty, folder.with_name("alone"))
    assert empty.history == []


class Retriever:
    """The retrieval half of triage over a real index: words as the vector, neighbours as the result."""

    def __init__(self, history: ChromaHistory) -> None:
        self.history = history

    async def prepare(self, cases: Sequence[Case], progress: Progress) -> None:
        vectors = np.stack([bag_of_words(case.incident.text) for case in cases])
        await self.history.remember([(case.incident, case.gold) for case in cases], vectors)

    async def run(
        self,
        incident: Incident,
        *,
        exclude: Collection[str] = (),
        duplicates: bool = True,
        as_of: datetime | None = None,
    ) -> Triage:
        neighbours = await self.history.neighbours(
            incident.text, bag_of_words(incident.text), 5, exclude=exclude, duplicates=duplicates, as_of=as_of
        )
        provenance = Provenance(taxonomy="small", taxonomy_version="1.0.0")
        return Triage(incident_id=incident.id, facets={}, neighbours=tuple(neighbours), provenance=provenance)


@pytest.mark.parametrize("history", ["leave_one_out", {"folds": 3}], ids=["leave one out", "folds"])
async def test_the_case_its_copies_and_near_duplicates_are_never_its_neighbours(
    write_suite: Callable[..., Suite],
    write_jsonl: Callable[..., Path],
    small: Taxonomy,
    folder: Path,
    history: str | dict[str, int],
) -> None:
    story = (
        "At nine the first alarms came from the storage racks in {}. Operators moved the load to a second site "
        "and found that a firmware update had left half of the power supplies without their limits."
    )
    family = {f"vllm-{n}" for n in (20, 21, 22)}
    write_jsonl(
        *(vllm_row(n, CAUSES[n % 3]) for n in range(12)),
        vllm_row(20, "power", story.format("Oslo")),
        vllm_row(21, "power", story.format("Oslo").upper()),
        vllm_row(22, "power", story.format("the north of Riga") + " Nobody was hurt."),
    )
    suite = write_suite(history=history)
    index = ChromaHistory.open(None, "words")
    try:
        run = await run_suite(suite, suite.load_data(small), small, Retriever(index), folder)
        assert await index.size() == 15
    finally:
        index.close()
    for record in run.records:
        near = {neighbour.incident_id for neighbour in record.neighbours}
        assert len(near) == 5
        assert record.case_id not in near
        assert record.case_id not in family or not near & family
        assert all(neighbour.labels["cause"] for neighbour in record.neighbours)


def bag_of_words(text: str) -> NDArray[np.float32]:
    vector = np.full(64, 0.01, dtype=np.float32)
    for word in text.casefold().split():
        vector[zlib.crc32(word.encode()) % 64] += 1
    unit: NDArray[np.float32] = vector / np.linalg.norm(vector)
    return unit


async def test_as_of_its_time_a_case_sees_what_began_before_it(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy, folder: Path
) -> None:
    rows = [vllm_row(n, CAUSES[n % 3]) | {"created_at": f"2024-01-{n + 1:02}T00:00:00+00:00"} for n in range(6)]
    write_jsonl(*rows)
    suite = write_suite(history="as_of")
    history = ChromaHistory.open(None, "bag-of-words")
    run = await run_suite(suite, suite.load_data(small), small, Retriever(history), folder)
    history.close()

    for n, record in enumerate(run.records):
        assert {neighbour.incident_id for neighbour in record.neighbours} <= {f"vllm-{earlier}" for earlier in range(n)}
    assert run.records[-1].neighbours


async def test_a_case_without_a_time_can_not_be_run_as_of_it(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy, folder: Path
) -> None:
    write_jsonl(vllm_row(0, "power") | {"created_at": None}, vllm_row(1, "network"))
    suite = write_suite(history="as_of")
    run = await run_suite(suite, suite.load_data(small), small, KeywordTriage(small), folder)

    assert [record.status for record in run.records] == ["failed", "done"]
    assert "has no start time" in (run.records[0].error or "")


async def test_no_case_sees_itself_or_a_copy_in_a_history_of_its_own_file(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy, folder: Path
) -> None:
    write_jsonl(vllm_row(0, "power"), vllm_row(1, "network", "The network part of hall 1 stopped."))
    copy = vllm_row(8, "network", "THE NETWORK part of hall 1 stopped.")
    write_jsonl(vllm_row(0, "power"), copy, vllm_row(9, "code"), name="h.jsonl")
    suite, subject = write_suite(history={"data": "h.jsonl"}), KeywordTriage(small)
    run = await run_suite(suite, suite.load_data(small), small, subject, folder)

    assert [record.case_id for record in run.records] == ["vllm-0", "vllm-1"]
    assert subject.history == ["vllm-0", "vllm-8", "vllm-9"]
    assert subject.excluded == {"vllm-0": {"vllm-0"}, "vllm-1": {"vllm-1", "vllm-8"}}
    assert set(cases_of(run, small)) == {"vllm-0", "vllm-1"}
