"""Caches runs and their reports for the service's pages.

Only names from the listing are accepted. Runs that are too large for a page are refused with a hint to use the CLI.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple, ParamSpec, TypeVar

from triage.domain.errors import Conflict, InvalidInput, NotFound, TriageError
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.archive import Archive
from triage.evaluation.compare import Comparison, compare
from triage.evaluation.datasets import Case
from triage.evaluation.gates import GateResult
from triage.evaluation.reports import report_on
from triage.evaluation.reports.run_view import RunView, view_run
from triage.evaluation.runs import CASES, Run, RunInfo, cases_of
from triage.evaluation.summary import Summary, read_summary

P = ParamSpec("P")
T = TypeVar("T")

MOST_RUNS = 1_000
"""The maximum of listed runs: those whose `run.json` was written last."""
LARGEST_CASES = 20_000_000
"""The maximum bytes of records, with repeats, of a run to open: about ten thousand cases."""
LARGEST_DATA = 100_000_000
"""The maximum bytes of a data file to read write-ups from."""
LARGEST_DESCRIPTION = 5_000_000
"""The maximum bytes of `run.json` and of `summary.json`."""

_CACHED_BYTES = 2 * LARGEST_CASES
_CACHED_COMPARISONS = 8

_Marks = tuple[tuple[str, int, int], ...]
"""Path, time and size of every file that a result depends on: it is valid while they don't change."""


class TooLarge(Conflict):
    """The run is too large to open in the service."""

    title = "The run is too large for a page"


class CachedRun(NamedTuple):
    """A run in the listing."""

    name: str
    info: RunInfo
    tags: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """The model, as the run's settings name it."""
        return str(self.info.identity.settings.get("model", ""))

    @property
    def prompts(self) -> str:
        """The prompts, as the run's settings name them."""
        return str(self.info.identity.settings.get("prompts", ""))

    def cost(self, summary: Summary | None) -> float | None:
        """What the run cost without a cache; None without a known price or a summary."""
        if self.info.price is None or summary is None:
            return None
        return self.info.price.of(summary.prompt_tokens, summary.completion_tokens)


class Broken(NamedTuple):
    """A run that can't be read, and why."""

    name: str
    reason: str


class Listing(NamedTuple):
    """The runs, newest first; `left_out` counts those beyond `MOST_RUNS`."""

    runs: tuple[CachedRun, ...]
    broken: tuple[Broken, ...]
    left_out: int


class OpenedRun(NamedTuple):
    """A run as pages show it. `no_cases` says why its write-ups are unavailable; it is empty if they are available."""

    name: str
    run: Run
    taxonomy: Taxonomy
    view: RunView
    no_cases: str


class _Cached(NamedTuple):
    marks: _Marks
    opened: OpenedRun
    size: int


class RunCache:
    """The runs below `root`. Call synchronous methods in a thread, since they read files.

    The asynchronous methods compute in one thread of the cache, one run at a time, so that requests for many runs don't
    use up the threads that the service shares.
    """

    def __init__(self, root: Path) -> None:
        self._archive = Archive(root)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="run-cache")
        self._infos: dict[str, tuple[_Marks, RunInfo | Broken]] = {}
        self._opened: OrderedDict[str, _Cached] = OrderedDict()
        self._gates: dict[str, tuple[_Marks, tuple[GateResult, ...]]] = {}
        self._compared: OrderedDict[tuple[_Marks, _Marks], Comparison] = OrderedDict()

    @property
    def root(self) -> Path:
        """The folder that holds the runs."""
        return self._archive.root

    def listing(self) -> Listing:
        """All runs."""
        names = self._names()
        shown = names[:MOST_RUNS]
        infos = {name: self._info(name) for name in shown}
        self._infos = {name: cached for name, cached in list(self._infos.items()) if name in infos}
        self._gates = {name: cached for name, cached in list(self._gates.items()) if name in infos}
        tags, broken_tags = self._tags()
        runs = [
            CachedRun(name, info, tags.get((name, info.suite.name), ()))
            for name, info in infos.items()
            if isinstance(info, RunInfo)
        ]
        runs.sort(key=lambda run: (run.info.started_at, run.name), reverse=True)
        broken = [info for info in infos.values() if isinstance(info, Broken)]
        return Listing(tuple(runs), (*broken, *broken_tags), len(names) - len(shown))

    def summaries(self, names: Iterable[str]) -> dict[str, Summary | None]:
        """The saved summaries of listed runs; None for an unfinished run."""
        folders = {name: self.root / name for name in names}
        return {
            name: read_summary(folder) if _size([folder / "summary.json"]) <= LARGEST_DESCRIPTION else None
            for name, folder in folders.items()
        }

    def is_at_hand(self, name: str) -> bool:
        """True if the run is cached. Raises `NotFound` if it is not listed."""
        self._check(name)
        cached = self._opened.get(name)
        return cached is not None and cached.marks == self._marks(name)

    async def open(self, name: str) -> OpenedRun:
        """A listed run with its report. Raises `NotFound`, `TooLarge`, and whatever reading it raises."""
        return await self._in_turn(self._open, name)

    async def gates(self, name: str) -> tuple[GateResult, ...]:
        """The results of a run's gates, cached longer than the run itself. Raises as `open` does."""
        gates = await asyncio.to_thread(self._cached_gates, name)
        return (await self.open(name)).view.report.gates if gates is None else gates

    async def compare(self, base: str, other: str) -> Comparison:
        """Compare two listed runs on their shared cases. Raises as `open` does, and `InvalidInput`."""
        return await self._in_turn(self._compare, base, other)

    async def _in_turn(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self._thread.submit(work, *args, **kwargs))

    def _names(self) -> list[str]:
        """The folders with a `run.json`, the last written first."""
        found: list[tuple[int, str]] = []
        # Unlike `glob`, this raises if the folder can't be read: it must not look empty then.
        for folder in self.root.iterdir() if self.root.exists() else ():
            # The run may be deleted meanwhile.
            with suppress(OSError):
                stat = (folder / "run.json").stat()
                if S_ISREG(stat.st_mode):
                    found.append((stat.st_mtime_ns, folder.name))
        return [name for _, name in sorted(found, reverse=True)]

    def _info(self, name: str) -> RunInfo | Broken:
        path = self.root / name / "run.json"
        cached, marks = self._infos.get(name), _marks_of([path])
        if cached is None or cached[0] != marks:
            cached = self._infos[name] = marks, _read_info(name, path)
        return cached[1]

    def _tags(self) -> tuple[dict[tuple[str, str], tuple[str, ...]], list[Broken]]:
        """(run, suite) -> its tags."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        try:
            tags = self._archive.tags()
        except (ValueError, TypeError, AttributeError):
            return {}, [Broken("tags.json", "it is damaged: delete it, and tag the runs again")]
        for tag, runs in sorted(tags.items()):
            for suite, name in runs.items():
                found[name, suite] = (*found.get((name, suite), ()), tag)
        return found, []

    def _check(self, name: str) -> None:
        if name not in self._names():
            raise NotFound(f"There is no run {name!r}: choose one of the list.", run=name)
        if isinstance(found := self._info(name), Broken):
            raise NotFound(f"The run {name} can't be shown: {found.reason}.", run=name)

    def _open(self, name: str) -> OpenedRun:
        self._check(name)
        marks = self._marks(name)
        cached = self._opened.get(name)
        if cached is None or cached.marks != marks:
            size = _size(self._journals(name))
            if size > LARGEST_CASES:
                raise TooLarge(
                    f"The records of {name} hold {size / 1e6:,.0f} MB, and a page opens at most "
                    f"{LARGEST_CASES / 1e6:,.0f} MB: use `triage eval show {name} --html report.html`.",
                    run=name,
                )
            cached = _Cached(marks, self._read(name), size)
            self._gates[name] = marks, cached.opened.view.report.gates
        self._opened[name] = cached
        self._opened.move_to_end(name)
        while len(self._opened) > 1 and sum(run.size for run in self._opened.values()) > _CACHED_BYTES:
            self._opened.popitem(last=False)
        return cached.opened

    def _cached_gates(self, name: str) -> tuple[GateResult, ...] | None:
        self._check(name)
        marks, gates = self._gates.get(name, (None, None))
        return gates if marks == self._marks(name) else None

    def _compare(self, base: str, other: str) -> Comparison:
        for name in (base, other):
            self._check(name)
        key = self._marks(base), self._marks(other)
        if key not in self._compared:
            first, second = self._open(base), self._open(other)
            facets = set(first.run.suite.facets) & set(second.run.suite.facets)
            if not facets:
                raise InvalidInput(
                    f"{base} and {other} score no facet that both have: there is nothing to compare.", field="run"
                )
            self._compared[key] = compare(first.run, second.run, second.taxonomy, seed=second.run.suite.seed)
            while len(self._compared) > _CACHED_COMPARISONS:
                self._compared.popitem(last=False)
        self._compared.move_to_end(key)
        return self._compared[key]

    def _marks(self, name: str) -> _Marks:
        """The marks of all files that an opened run depends on: its own, taxonomy, data, and its gates' base runs."""
        found = self._info(name)
        read = [self.root / name / "run.json", *self._journals(name), self.root / "tags.json"]
        if isinstance(found, RunInfo):
            read += [Path(found.suite.taxonomy), Path(found.data_path)]
            for base in sorted({gate.base for gate in found.suite.parsed_gates if gate.base}):
                with suppress(TriageError):
                    folder = self._archive.folder(base, found.suite.name)
                    read += [folder / "run.json", folder / CASES]
        return _marks_of(read)

    def _journals(self, name: str) -> list[Path]:
        return [self.root / name / CASES, *sorted((self.root / name).glob(f"round-*/{CASES}"))]

    def _read(self, name: str) -> OpenedRun:
        run = Run.read(self.root / name)
        taxonomy = Taxonomy.load(run.suite.taxonomy)
        cases, why = _cases(run, taxonomy)
        return OpenedRun(name, run, taxonomy, view_run(report_on(run, self._archive), run, taxonomy, cases), why)


def _cases(run: Run, taxonomy: Taxonomy) -> tuple[Mapping[str, Case] | None, str]:
    """The cases with their texts, or why they are unavailable."""
    path = Path(run.info.data_path)
    try:
        if path.is_file() and path.stat().st_size > LARGEST_DATA:
            return None, f"the data is larger than {LARGEST_DATA / 1e6:,.0f} MB"
        return cases_of(run, taxonomy), ""
    except NotFound:
        return None, "the data is no longer where the run read it"
    except (TriageError, OSError):
        return None, "the data can't be read, or has changed since the run"


def _read_info(name: str, path: Path) -> RunInfo | Broken:
    try:
        if path.stat().st_size > LARGEST_DESCRIPTION:
            return Broken(name, "its run.json is larger than any that a run writes")
        return RunInfo.model_validate_json(path.read_bytes())
    except OSError as error:
        return Broken(name, f"its run.json can't be read: {error.strerror}")
    except ValueError:
        return Broken(name, "its run.json is damaged: delete the folder, or run the suite again")


def _marks_of(paths: Sequence[Path]) -> _Marks:
    marks = []
    for path in paths:
        with suppress(OSError):
            stat = path.stat()
            marks.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(marks)


def _size(paths: Sequence[Path]) -> int:
    return sum(size for _, _, size in _marks_of(paths))
