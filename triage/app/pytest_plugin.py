"""A pytest plugin: `pytest --triage-suite SUITE.yaml` turns every gate of a suite into a test.

pytest loads this wherever triage is installed, so heavy modules are imported only when a suite is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from triage.evaluation.gates import GateResult
    from triage.evaluation.runs import Run
    from triage.evaluation.suites import Suite

_EVERY_CASE = "every case is finished"


class GateFailed(Exception):
    """A gate is not met; the message is its explanation."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("triage", "gates on agreement")
    group.addoption("--triage-suite", action="append", default=[], metavar="FILE", help="A suite; repeatable.")
    group.addoption("--triage-data", metavar="FILE", help="The labelled data, if the suite has none of its own.")
    group.addoption("--triage-run", metavar="FOLDER", help="Check this finished run instead of running the suite.")
    group.addoption(
        "--triage-base",
        action="append",
        default=[],
        metavar="[NAME=]FOLDER",
        help="A run that gates compare with; without a name it is the one that all of them mean. Repeatable.",
    )
    group.addoption("--triage-runs", default="runs", metavar="FOLDER", help="Where runs are kept (runs).")
    group.addoption("--triage-strict", action="store_true", help="Fail gates that too few cases can't tell.")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "triage: a gate of a suite of triage; `-m triage` runs nothing else")
    named = {_path(config, arg.split("::")[0]) for arg in config.args}
    config.args += [suite for suite in config.getoption("triage_suite") if _path(config, suite) not in named]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    suites = {_path(parent.config, suite) for suite in parent.config.getoption("triage_suite")}
    return SuiteFile.from_parent(parent, path=file_path) if file_path.resolve() in suites else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each gate once if a suite is both named by the option and in a collected folder."""
    seen = {item.nodeid: item for item in reversed(items) if isinstance(item, GateItem)}
    items[:] = [item for item in items if seen.get(item.nodeid, item) is item]


class SuiteFile(pytest.File):
    """A suite. It is run, or its finished run is read, when the first gate is checked."""

    def collect(self) -> Iterator[GateItem]:
        """One test that every case is finished, then one for each gate."""
        for gate in (_EVERY_CASE, *self._suite.gates):
            yield GateItem.from_parent(self, name=gate, suite=self)

    @cached_property
    def _suite(self) -> Suite:
        from triage.domain.errors import TriageError
        from triage.evaluation.suites import Suite

        try:
            suite = Suite.load(self.path)
        except TriageError as error:
            raise self.CollectError(error.detail) from error
        if not suite.gates:
            raise self.CollectError(f"{self.path} has no gates: add `gates: [kappa.FACET >= 0.7]` to it.")
        return suite

    def result(self, gate: str) -> GateResult:
        """The result of a gate. Raises the error that kept the suite from running."""
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome[gate]

    @cached_property
    def _outcome(self) -> Mapping[str, GateResult] | Exception:
        # Errors are cached too: a suite that can't run must not be tried again for every gate.
        options = self.config.option
        finished = Path(options.triage_run) if options.triage_run else None
        data = Path(options.triage_data) if options.triage_data else None
        try:
            return check(self._suite, finished, data, options.triage_base, Path(options.triage_runs))
        except Exception as error:  # noqa: BLE001
            return error


class GateItem(pytest.Item):
    """One gate. It fails with the gate's explanation, and is skipped if there are too few cases to tell."""

    def __init__(self, *, suite: SuiteFile, **known: Any) -> None:
        super().__init__(**known)
        self._suite = suite
        self.add_marker("triage")

    def runtest(self) -> None:
        result = self._suite.result(self.name)
        self.user_properties += [
            (name, value)
            for name, value in (("value", result.value), ("n", result.n), ("needed", result.needed))
            if value is not None
        ]
        if result.status == "inconclusive" and not self.config.option.triage_strict:
            pytest.skip(result.explanation)
        if result.status != "passed":
            raise GateFailed(f"{result.gate}: {result.status}. {result.explanation}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str | Any:
        """Only the explanation, for errors that a user can act on."""
        from triage.domain.errors import TriageError

        if isinstance(excinfo.value, GateFailed):
            return str(excinfo.value)
        if isinstance(excinfo.value, TriageError):
            return f"{excinfo.value.title}: {excinfo.value.detail}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name


def check(
    suite: Suite, finished: Path | None, data: Path | None, bases: list[str], runs: Path
) -> dict[str, GateResult]:
    """Check the gates of a suite against its `finished` run, or run it on `data`. Raises `TriageError`."""
    import asyncio

    from triage.domain.errors import InvalidInput
    from triage.domain.taxonomy import Taxonomy
    from triage.evaluation.gates import GateResult, check_gates
    from triage.evaluation.runs import Run

    taxonomy = Taxonomy.load(suite.taxonomy)
    run = Run.read(finished) if finished else asyncio.run(_examine(suite, taxonomy, data, runs))
    if run.suite.name != suite.name:
        raise InvalidInput(f"{run.folder} is a run of suite {run.suite.name!r}, not {suite.name!r}.", field="run")
    gates = suite.parsed_gates
    results = check_gates(run, taxonomy, _bases(bases, {gate.base for gate in gates if gate.base}, suite), gates=gates)
    failed = [record for record in run.records if record.status == "failed"]
    summary = f"{len(failed)} of {len(run.records)} cases failed"
    every_case = GateResult(
        gate=_EVERY_CASE,
        status="failed" if failed else "passed",
        explanation=f"{summary}; {failed[0].case_id}: {failed[0].error}" if failed else summary,
        n=len(run.records),
    )
    return {result.gate: result for result in (every_case, *results)}


async def _examine(suite: Suite, taxonomy: Any, data_path: Path | None, runs: Path) -> Run:
    """Run the suite, or resume an earlier run."""
    from triage.app.settings import Settings
    from triage.app.wiring.suites import open_subject
    from triage.evaluation.runner import run_suite
    from triage.evaluation.runs import RunIdentity, default_folder

    data = suite.load_data(taxonomy, data_path)
    async with open_subject(Settings(), suite, taxonomy) as (subject, decisive):
        folder = default_folder(runs, suite, RunIdentity.of(suite, data, taxonomy, decisive))
        return await run_suite(suite, data, taxonomy, subject, folder, settings=decisive)


def _bases(arguments: list[str], named: set[str], suite: Suite) -> dict[str, Run]:
    """The runs to compare with, by the name that gates use; a run without a name serves for all names."""
    from triage.domain.errors import InvalidInput
    from triage.evaluation.runs import Run

    found: dict[str, Run] = {}
    for argument in arguments:
        name, _, folder = argument.rpartition("=")
        run = Run.read(Path(folder))
        if run.suite.name != suite.name:
            raise InvalidInput(f"{folder} is a run of suite {run.suite.name!r}, not {suite.name!r}.", field="base")
        found |= {name: run} if name else dict.fromkeys(named, run)
    return found


def _path(config: pytest.Config, name: str) -> Path:
    return (config.invocation_params.dir / name).resolve()
