"""Fits a calibrator on a finished run."""

from __future__ import annotations

from collections.abc import Sequence

from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.journal import CaseRecord
from triage.evaluation.runs import Run
from triage.pipeline.calibration import Calibrator, Circumstances, Observation, fit


def calibrate(run: Run, precision: float) -> Calibrator:
    """A calibrator fitted on the cases of a run that are not degraded. Raises `InvalidInput` if they can't be used.

    The run needs a history, in folds or leave-one-out: a case in its own history would overrate its sources.
    """
    if run.suite.history == "none":
        raise InvalidInput(
            f"{run.folder} was run without a history, so the history's weight can't be fitted.", field="run"
        )
    records = [r for r in run.records if r.status == "done" and _is_whole(r)]
    if not records:
        raise InvalidInput(f"{run.folder} holds no finished case that is not degraded.", field="run")
    taxonomy = run.suite.narrow(Taxonomy.load(run.suite.taxonomy))
    observations = [Observation(record.sources, record.gold, record.fold) for record in records]
    return Calibrator(
        circumstances=circumstances_of(run),
        data=f"suite {run.suite.name}",
        data_sha256=run.info.identity.data,
        cases=len(records),
        facets=fit(taxonomy, observations, precision, seed=run.suite.seed),
    )


def circumstances_of(run: Run) -> Circumstances:
    """The model, prompts and other circumstances of the run. Raises `InvalidInput` if its cases differ in them."""
    rule = str(run.info.identity.settings.get("decision", "unknown"))
    found: Sequence[Circumstances] = list(
        dict.fromkeys(
            Circumstances(
                taxonomy=f"{p.taxonomy}@{p.taxonomy_version}",
                prompts=p.prompts,
                model=p.model or "none",
                embedder=p.embedder,
                rule=rule,
            )
            for record in run.records
            if (p := record.provenance) is not None and _is_whole(record)
        )
    )
    if len(found) != 1:
        raise InvalidInput(f"The cases of {run.folder} were run in {len(found)} different ways.", field="run")
    return found[0]


def _is_whole(record: CaseRecord) -> bool:
    """True for an answer that used everything configured. Runs once marked a chosen lack of a model as degraded."""
    return record.provenance is not None and (not record.degraded or record.provenance.model is None)
