"""The cases that a run was made on, with their write-ups, which its records don't hold."""

from __future__ import annotations

from pathlib import Path

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.cases import Case
from triage.evaluation.runs import Run


def cases_of(run: Run, taxonomy: Taxonomy, path: Path | None = None) -> dict[str, Case]:
    """Case id -> case, from `path` or else from where the run read them.

    Raises `NotFound` where the file is gone, `InvalidInput` where it holds other data than the run was made on.
    """
    file = path or Path(run.info.data_path)
    if not file.exists():
        raise NotFound(f"The run was made on {file}, which is not there: name its file with --data.", path=str(file))
    dataset = run.suite.load_data(taxonomy, file)
    if dataset.sha256 != run.info.identity.data:
        raise InvalidInput(
            f"{dataset.path} has changed since the run (its SHA-256 was {run.info.identity.data[:12]} and is "
            f"{dataset.sha256[:12]}): name the file that it was made on with --data, or run the suite again.",
            field="data",
        )
    return {case.id: case for case in dataset.cases}
