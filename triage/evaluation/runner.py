"""Runs a suite: bounded concurrency, every finished case journalled at once, resumed after an interrupt."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from triage.errors import InvalidInput, MisconfiguredService
from triage.evaluation.cases import Case, Dataset
from triage.evaluation.journal import CaseRecord, Journal, NeighbourRecord
from triage.evaluation.runs import CASES, Run, RunIdentity, claim
from triage.evaluation.suites import Suite
from triage.incident import Incident, Scalar
from triage.taxonomy import Taxonomy
from triage.triage_result import Triage

Stage = Literal["history", "cases"]


class Progress(Protocol):
    """Told after each step: how many are done, of how many, in how many seconds."""

    def __call__(self, stage: Stage, done: int, total: int, seconds: float, /) -> None: ...


class TriageUnderTest(Protocol):
    """What a suite examines: the pipeline over a history that holds the given cases."""

    async def prepare(self, cases: Sequence[Case], progress: Progress) -> None:
        """Make `cases` with their gold labels the whole history. Called once, before the first run."""
        ...

    async def run(
        self,
        incident: Incident,
        *,
        exclude: Collection[str] = (),
        duplicates: bool = True,
        as_of: datetime | None = None,
    ) -> Triage:
        """Triage one incident as if the ids in `exclude` were not in the history; see `Pipeline.run`."""
        ...


async def run_suite(
    suite: Suite,
    dataset: Dataset,
    taxonomy: Taxonomy,
    subject: TriageUnderTest,
    folder: Path,
    *,
    settings: Mapping[str, Scalar] | None = None,
    retry_degraded: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Run the suite's cases, or those that an earlier run in `folder` did not finish.

    A case that raises is recorded as failed with its reason and tried again on the next run; so is a degraded one with
    `retry_degraded`. Raises `RunMismatch` if the folder holds a run of another suite, data, taxonomy or settings, or
    is in use; passes `MisconfiguredService` on, since every further case would fail likewise.
    """
    identity = RunIdentity.of(suite, dataset, taxonomy, settings or {})
    report: Progress = progress or (lambda *_: None)
    planned = suite.sample(dataset.cases)
    exclusions = _Exclusions(suite, dataset.cases)
    with claim(folder, suite, dataset, identity), Journal(folder / CASES) as journal:
        waiting = [case for case in planned if _is_open(journal.records.get(case.id), retry_degraded)]
        finished = len(planned) - len(waiting)
        if waiting:
            await subject.prepare(suite.history_of(dataset.cases), report)
            started, done = time.perf_counter(), itertools.count(finished + 1)

            def finish(record: CaseRecord) -> None:
                journal.append(record)
                report("cases", next(done), len(planned), time.perf_counter() - started)

            report("cases", finished, len(planned), 0.0)
            await _run_cases(waiting, subject, exclusions, suite.concurrency, finish)
        records = journal.settle([case.id for case in planned])
    return Run(
        folder=folder,
        suite=suite,
        records=tuple(records),
        skipped=dataset.skipped,
        left_out=dataset.left_out,
        repeats=dataset.repeats,
        resumed=finished,
    )


def _is_open(record: CaseRecord | None, retry_degraded: bool) -> bool:
    return record is None or record.status == "failed" or (retry_degraded and record.degraded)


class _Exclusions:
    """What each case may not see: itself, copies of it and, with folds, all cases of its fold."""

    def __init__(self, suite: Suite, cases: tuple[Case, ...]) -> None:
        self.folds = suite.folds_of(cases) or {}
        self._is_as_of = suite.history == "as_of"
        self._groups: dict[str, set[str]] = {}
        for case in cases:
            self._groups.setdefault(case.group, set()).add(case.id)
        self._members: dict[int, set[str]] = {}
        for case_id, fold in self.folds.items():
            self._members.setdefault(fold, set()).add(case_id)

    def as_of(self, case: Case) -> datetime | None:
        """The moment up to which the case may know the history; None for all of it."""
        if not self._is_as_of:
            return None
        if case.incident.started_at is None:
            raise InvalidInput(
                f"{case.id} has no time, which `history: as_of` needs: give it one, or choose other folds.",
                field="started_at",
            )
        return case.incident.started_at

    def of(self, case: Case) -> frozenset[str]:
        fold = self._members[self.folds[case.id]] if self.folds else set()
        return frozenset({case.id} | self._groups[case.group] | fold)


async def _run_cases(
    cases: Sequence[Case],
    subject: TriageUnderTest,
    exclusions: _Exclusions,
    concurrency: int,
    finish: Callable[[CaseRecord], None],
) -> None:
    queue = iter(cases)

    async def work() -> None:
        for case in queue:
            finish(await _run_case(case, subject, exclusions))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(cases))):
                group.create_task(work())
    except ExceptionGroup as errors:
        # The first cause tells the user what to do; the others are mostly repeats of it.
        raise errors.exceptions[0] from None


async def _run_case(case: Case, subject: TriageUnderTest, exclusions: _Exclusions) -> CaseRecord:
    started = time.perf_counter()
    known: dict[str, Any] = {"case_id": case.id, "gold": case.gold, "fold": exclusions.folds.get(case.id)}
    try:
        triage = await subject.run(
            case.incident, exclude=exclusions.of(case), duplicates=False, as_of=exclusions.as_of(case)
        )
    except MisconfiguredService:
        raise
    except Exception as error:  # noqa: BLE001
        # One bad case must not end a run of hours: it is counted, shown, and tried again on resume.
        reason = f"{type(error).__name__}: {error}"
        return CaseRecord(**known, status="failed", error=reason, seconds=time.perf_counter() - started)
    results = triage.facets.items()
    return CaseRecord(
        **known,
        status="done",
        predicted={facet: result.labels for facet, result in results},
        distributions={facet: {one.label: one.probability for one in result.distribution} for facet, result in results},
        sources={facet: result.sources for facet, result in results},
        origins={facet: result.origin for facet, result in results},
        evidence={facet: len(result.evidence) for facet, result in results},
        evidence_spans={facet: tuple((e.start, e.end) for e in result.evidence) for facet, result in results},
        abstentions={facet: result.abstention for facet, result in results if result.abstention},
        neighbours=tuple(NeighbourRecord(**n.model_dump(include=_NEIGHBOUR_FIELDS)) for n in triage.neighbours),
        degraded=triage.degraded,
        degraded_reason=triage.degraded_reason,
        seconds=time.perf_counter() - started,
        provenance=triage.provenance,
    )


_NEIGHBOUR_FIELDS = set(NeighbourRecord.model_fields)
