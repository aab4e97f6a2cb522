"""Reports of a run, for the terminal, as HTML, Markdown, JUnit XML, tables and charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from triage.domain.taxonomy import Taxonomy
from triage.evaluation.archive import Archive
from triage.evaluation.compare import Comparison, compare
from triage.evaluation.gates import GateResult, check_gates
from triage.evaluation.metrics import default_metrics
from triage.evaluation.runs import Run
from triage.evaluation.scores import Measured, Scores
from triage.evaluation.summary import Summary, summarise


class Report(BaseModel, frozen=True):
    """The figures of a run. `comparison` is with the base run, if there is one."""

    run: str
    summary: Summary
    metrics: tuple[Measured, ...]
    gates: tuple[GateResult, ...]
    comparison: Comparison | None = None

    @property
    def passed(self) -> bool:
        """True if every gate passed."""
        return all(gate.status == "passed" for gate in self.gates)


def report_of(run: Run, taxonomy: Taxonomy, base: Run | None = None, bases: Mapping[str, Run] | None = None) -> Report:
    """Score a run, check its gates and compare it with `base`. `bases` maps names in gates to runs."""
    scores = Scores.of_run(run, taxonomy)
    facets = [taxonomy.facet(name) for name in run.suite.facets]
    names = run.suite.metrics or default_metrics(facets)
    return Report(
        run=run.folder.name,
        summary=summarise(run, taxonomy),
        metrics=tuple(scores.measure(name, seed=run.suite.seed) for name in names),
        gates=tuple(check_gates(run, taxonomy, bases)),
        comparison=compare(base, run, taxonomy, seed=run.suite.seed) if base is not None else None,
    )


def report_on(run: Run, archive: Archive, bases: Sequence[str] = ()) -> Report:
    """The report of a run, compared with the first of `bases`, else with the first run that a gate names.

    A base is a run as `Archive.find` accepts it, or NAME=RUN for the run that gates call NAME.
    """
    named_bases = (base.rpartition("=") for base in bases)
    given = {name or folder: archive.find(folder, run.suite.name) for name, _, folder in named_bases}
    named = {gate.base for gate in run.suite.parsed_gates if gate.base}
    known = {name: found for name in named - given.keys() if (found := archive.find_or_none(name, run.suite.name))}
    # A single base without a name stands for the single name that the gates use.
    if len(given) == 1 and len(named) == 1 and not named & given.keys():
        known = dict.fromkeys(named, next(iter(given.values())))
    first = next(iter(given.values()), None) or next(iter(known.values()), None)
    return report_of(run, Taxonomy.load(run.suite.taxonomy), first, {**known, **given})


def figure(value: float | None) -> str:
    """A figure with three decimals, a large one without; empty for None."""
    return "" if value is None else f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"
