"""The cases of a run as CSV, one line for each case and facet."""

from __future__ import annotations

import csv
import io

from triage.evaluation.runs import Run
from triage.render.tables import formula_safe

_COLUMNS = ("case", "facet", "gold", "predicted", "probability", "right", "status", "degraded", "seconds", "error")


def as_csv(run: Run) -> str:
    """The cases; text that a spreadsheet would run as a formula is quoted."""
    file = io.StringIO()
    # As in `triage.render.tables`: a cell with a line end of either kind is quoted.
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for record in run.records:
        for facet in run.suite.facets:
            gold, said = record.gold.get(facet, ()), record.predicted.get(facet, ())
            probability = record.distributions.get(facet, {}).get(said[0]) if said else None
            is_right = str(gold[:1] == said[:1]).lower() if gold and record.status == "done" else ""
            row = [record.case_id, facet, ";".join(gold), ";".join(said)]
            row += ["" if probability is None else f"{probability:.4f}", is_right, record.status]
            row += [str(record.degraded).lower(), f"{record.seconds:.3f}", record.error or ""]
            writer.writerow([formula_safe(cell) for cell in row])
    return file.getvalue()
