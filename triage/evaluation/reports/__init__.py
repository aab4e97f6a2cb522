"""Reports of a run: one collection of figures, told to people and programs in several formats."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from triage.domain.taxonomy import Taxonomy
from triage.evaluation.compare import Comparison, compare
from triage.evaluation.gates import GateResult, check_gates
from triage.evaluation.metrics import Measured, Scores, names_of
from triage.evaluation.runs import Run
from triage.evaluation.scoring import Summary, summarise


class Report(BaseModel, frozen=True):
    """Everything that is told of a run. `comparison` is against the base run, where one was given."""

    run: str
    summary: Summary
    metrics: tuple[Measured, ...]
    gates: tuple[GateResult, ...]
    comparison: Comparison | None = None

    @property
    def passed(self) -> bool:
        """True if no gate failed and none is inconclusive."""
        return all(gate.status == "passed" for gate in self.gates)


def report_of(run: Run, taxonomy: Taxonomy, base: Run | None = None, bases: Mapping[str, Run] | None = None) -> Report:
    """Score a run, check its gates and compare it with `base`. `bases` are the runs that gates name."""
    scores = Scores.of_run(run, taxonomy)
    facets = [taxonomy.facet(name) for name in run.suite.facets]
    names = run.suite.metrics or names_of(facets)
    return Report(
        run=run.folder.name,
        summary=summarise(run, taxonomy),
        metrics=tuple(scores.measure(name, seed=run.suite.seed) for name in names),
        gates=tuple(check_gates(run, taxonomy, bases)),
        comparison=compare(base, run, taxonomy, seed=run.suite.seed) if base is not None else None,
    )
