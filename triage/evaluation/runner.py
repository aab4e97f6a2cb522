"""Runs a suite with bounded concurrency. Finished cases are journalled at once, so an interrupted run can resume."""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from triage.domain.errors import InvalidInput, MisconfiguredService
from triage.domain.incident import Incident, Scalar
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Triage
from triage.evaluation.datasets import Case, Dataset
from triage.evaluation.journal import CaseRecord, Journal, NeighbourRecord
from triage.evaluation.run_budget import Spending
from triage.evaluation.runs import CASES, Run, RunIdentity, claim
from triage.evaluation.suites import Suite
from triage.models.chat.cache import bypass_cache
from triage.models.chat.gate import Gate
from triage.models.chat.prices import Price
from triage.observability.progress import Progress, silent

MOST_OPEN = 3
"""The maximum of open cases, as a multiple of the concurrency, while calls wait for a retry."""


class TriageUnderTest(Protocol):
    """What a suite examines, with a history made of the suite's cases."""

    async def prepare(self, cases: Sequence[Case], progress: Progress) -> None:
        """Fill the history with `cases` and their gold labels. Called once, before the first run."""
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
    progress: Progress = silent,
    finished: Callable[[CaseRecord], None] | None = None,
    gate: Gate | None = None,
    price: Price | None = None,
) -> Run:
    """Run the suite's cases, or those that an earlier run in `folder` did not finish.

    A case that raises is recorded as failed and retried on the next run; so is a degraded one with `retry_degraded`.
    Retries bypass the reply cache. `finished` is called with each record once it is in the journal. With the `gate` of
    the subject's model calls, more cases are started while calls wait for a retry. `price` converts tokens for a
    budget in money; a run that the budget ends says so in `stopped`.

    Raises `RunMismatch` if the folder is in use or holds a run of another suite, data, taxonomy or settings, and
    `MisconfiguredService`, since every further case would fail too.
    """
    identity = RunIdentity.of(suite, dataset, taxonomy, settings or {})
    planned = suite.sample(dataset.cases)
    history = suite.history_of(dataset)
    exclusions = _Exclusions(suite, dataset.cases, history)
    with claim(folder, suite, dataset, identity, price), _spared_garbage(), Journal(folder / CASES) as journal:
        waiting = [case for case in planned if _is_open(journal.records.get(case.id), retry_degraded)]
        before = len(planned) - len(waiting)
        spending = Spending(suite.budget, price, journal.records.values())
        if waiting:
            await subject.prepare(history, progress)
            done = itertools.count(before + 1)

            async def run(case: Case) -> None:
                # A cached reply may be what the case failed on.
                with bypass_cache(case.id in journal.records):
                    record = await _run_case(case, subject, exclusions)
                journal.append(record)
                spending.finish(record)
                if finished is not None:
                    finished(record)
                progress("cases", next(done), len(planned))

            progress("cases", before, len(planned))
            await _Crew(waiting, run, suite.concurrency, gate or Gate(), spending.allows).work()
        records = journal.settle([case.id for case in planned])
    return Run(
        folder=folder,
        suite=suite,
        records=tuple(records),
        skipped=dataset.skipped,
        left_out=dataset.left_out,
        repeats=dataset.repeats,
        resumed=before,
        stopped=spending.stopped,
    )


@contextmanager
def _spared_garbage() -> Iterator[None]:
    """Exclude existing objects, mostly library code, from garbage collection: scanning them takes 6% of a run's CPU."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _is_open(record: CaseRecord | None, retry_degraded: bool) -> bool:
    return record is None or record.status == "failed" or (retry_degraded and record.degraded)


class _Exclusions:
    """What is hidden from each case: itself, its copies and, with folds, all cases of its fold."""

    def __init__(self, suite: Suite, cases: tuple[Case, ...], history: tuple[Case, ...]) -> None:
        self.folds = suite.folds_of(cases) or {}
        self._is_as_of = suite.history == "as_of"
        self._groups: dict[str, set[str]] = {}
        for case in (*cases, *history):
            self._groups.setdefault(case.group, set()).add(case.id)
        self._members: dict[int, set[str]] = {}
        for case_id, fold in self.folds.items():
            self._members.setdefault(fold, set()).add(case_id)

    def as_of(self, case: Case) -> datetime | None:
        """The time up to which the case sees the history; None for all of it."""
        if not self._is_as_of:
            return None
        if case.incident.started_at is None:
            raise InvalidInput(
                f"{case.id} has no start time, which `history: as_of` needs: add it, or choose another history.",
                field="started_at",
            )
        return case.incident.started_at

    def of(self, case: Case) -> frozenset[str]:
        fold = self._members[self.folds[case.id]] if self.folds else set()
        return frozenset({case.id} | self._groups[case.group] | fold)


class _Crew:
    """Workers that run case after case: `concurrency` of them, plus one for each call that waits for a retry.

    The gate bounds the requests in flight; `MOST_OPEN` times the concurrency bounds the open cases. `allows` decides,
    from the number of open cases, whether another may start.
    """

    def __init__(
        self,
        cases: Iterable[Case],
        run: Callable[[Case], Awaitable[None]],
        concurrency: int,
        gate: Gate,
        allows: Callable[[int], bool],
    ) -> None:
        self._cases = iter(cases)
        self._run = run
        self._concurrency = concurrency
        self._gate = gate
        self._allows = allows
        self._usual = 0
        self._size = 0

    async def work(self) -> None:
        """Run all cases. If a worker raises, the others are cancelled and its error is raised."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._gate.on_wait = self._fill_up
                apart_s = min(_APART_S, _SPREAD_S / self._concurrency)
                while self._usual < self._concurrency:
                    self._usual += 1
                    self._fill_up()
                    # Requests sent together are answered together, and their replies then queue.
                    await asyncio.sleep(apart_s if apart_s > _TICK_S else 0)
        except ExceptionGroup as errors:
            # The others mostly repeat the first error.
            raise errors.exceptions[0] from None
        finally:
            self._gate.on_wait = None

    def _fill_up(self) -> None:
        while self._size < self._wanted and (case := self._next(self._size)) is not None:
            self._size += 1
            self._group.create_task(self._take(case))

    def _next(self, open_cases: int) -> Case | None:
        return next(self._cases, None) if self._allows(open_cases) else None

    @property
    def _wanted(self) -> int:
        return min(self._usual + self._gate.waiting, MOST_OPEN * self._concurrency)

    async def _take(self, case: Case | None) -> None:
        while case is not None:
            await self._run(case)
            # An extra worker stops once the call that waited continues.
            case = self._next(self._size - 1) if self._size <= self._wanted else None
            if case is not None:
                # The budget may have room for more cases by now.
                self._fill_up()
        self._size -= 1


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
        # One failed case must not end a run of hours.
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


_APART_S, _SPREAD_S = 0.002, 0.1
"""The first requests are sent this far apart, but all within the second time."""
_TICK_S = 0.001
_NEIGHBOUR_FIELDS = set(NeighbourRecord.model_fields)
