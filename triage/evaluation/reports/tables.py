"""The tables of a run as values, for files. Each has the id that it has in the report."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from triage.agreement import Interval
from triage.evaluation.compare import Comparison, Difference
from triage.evaluation.metrics import ABSTAINED
from triage.evaluation.reports.facet_view import CaseList, FacetView
from triage.evaluation.reports.run_view import RunView
from triage.evaluation.runs import Run
from triage.render.tables import Cell, Column, Row, Table, formula_safe

_INTERVAL = (Column("from", "number"), Column("to", "number"))


def tables_of(view: RunView) -> list[Table]:
    """All tables of a run that have rows."""
    found = [_gates(view), _metrics(view), _worst(view), _costs(view), _steps(view), _settings(view)]
    found += [_degraded(view), _failures(view)]
    found += [table for facet in view.facets for table in _of_facet(facet)]
    return [table for table in found if table.rows]


def comparison_tables(found: Comparison, place: str = "comparison") -> list[Table]:
    """The tables of a comparison that have rows; `place` is the prefix of their ids."""
    return [table for table in _of_comparison(found, place) if table.rows]


def cases_table(view: FacetView, cases: CaseList) -> Table:
    """The cases behind one count, the most probable predictions first."""
    several = view.facet.cardinality == "multi"
    columns = (Column("case"), *_probabilities(several))
    rows = [Row((case.case_id, case.said, *(() if several else (case.gold,))), (case.case_id,)) for case in cases.cases]
    caption = f"{cases.n} cases" + (f", of which these are the first {len(rows)}." if cases.n > len(rows) else ".")
    return Table(cases.anchor, f"{view.facet.name}. {view.told(cases)}", caption, columns, tuple(rows))


def _gates(view: RunView) -> Table:
    columns = (
        Column("gate"),
        Column("result"),
        Column("value", "number"),
        *_INTERVAL,
        Column("n", "count"),
        Column("why"),
    )
    rows = [
        Row((one.gate, one.status, one.value, *_ends(one.interval), one.n, one.explanation))
        for one in view.report.gates
    ]
    return Table("gates-table", "Gates", "What must hold, and whether it does.", columns, tuple(rows))


def _metrics(view: RunView) -> Table:
    columns = (Column("metric"), Column("value", "number"), *_INTERVAL, Column("n", "count"), Column("meaning"))
    rows = [
        Row((one.metric, one.value, *_ends(one.interval), one.n, one.undefined or meaning))
        for one, _, meaning in view.metrics
    ]
    caption = "Each metric with its 95% bootstrap interval over the cases."
    return Table("metrics-table", "Metrics", caption, columns, tuple(rows))


def _worst(view: RunView) -> Table:
    columns = (Column("case"), Column("facet"), Column("gold"), Column("predicted"), Column("probability", "number"))
    rows = [
        Row(
            (one.record.case_id, answer.facet.id, _said(answer.gold), _said(answer.predicted), answer.confidence),
            (one.record.case_id,),
        )
        for one in view.wrong
        for answer in one.answers
    ]
    caption = f"All {len(view.wrong)} cases with a wrong label, those first whose wrong label was stated most surely."
    return Table("worst", "Worst cases", caption, columns, tuple(rows))


def _costs(view: RunView) -> Table:
    summary = view.report.summary
    totals: list[tuple[Cell, ...]] = [(one.metric, one.value) for one in view.costs]
    totals += [("prompt tokens", summary.prompt_tokens), ("completion tokens", summary.completion_tokens)]
    totals.append(("dropped quotes", summary.dropped_quotes))
    columns = (Column("metric"), Column("value", "number"))
    return Table("costs", "Cost and latency", "What the run took.", columns, tuple(map(Row, totals)))


def _steps(view: RunView) -> Table:
    columns = (Column("step"), Column("seconds", "number"))
    return Table("steps", "Steps", "Mean seconds of each step.", columns, tuple(map(Row, view.origins.steps)))


def _settings(view: RunView) -> Table:
    columns = (Column("setting"), Column("value"))
    rows = [Row((name, str(value))) for name, value in view.info.identity.settings.items()]
    return Table("settings", "Settings", "Settings that decide the results.", columns, tuple(rows))


def _degraded(view: RunView) -> Table:
    columns = (Column("reason"), Column("cases", "count"))
    rows = [Row((reason, n)) for reason, n in view.report.summary.degraded_reasons.items()]
    return Table("degraded", "Degraded cases", "Degraded cases, by reason.", columns, tuple(rows))


def _failures(view: RunView) -> Table:
    columns = (Column("case"), Column("error"))
    rows = [Row((case_id, error), (case_id,)) for case_id, error in view.report.summary.failures.items()]
    caption = "Failed cases, which have no prediction and are not scored."
    return Table("failures", "Failed cases", caption, columns, tuple(rows))


def _of_facet(view: FacetView) -> Iterator[Table]:
    key, name = view.facet.id, view.facet.name
    columns: tuple[Column, ...] = (Column("gold"), *(Column(label, "count") for label in view.columns))
    rows = [Row((row.label, *(cell.n for cell in row.cells))) for row in view.rows]
    yield Table(
        f"matrix-{key}", f"{name}: confusion", "Gold labels in rows, predicted ones in columns.", columns, tuple(rows)
    )
    yield _labels(view)
    if view.calibration is None:
        return
    columns = (Column("stated", "share"), Column("right", "share"), Column("n", "count"))
    rows = [Row((one.stated, one.right, one.n)) for one in view.calibration.bins]
    caption = "Stated probability against the share right, in bins of equal size."
    yield Table(f"bins-table-{key}", f"{name}: reliability", caption, columns, tuple(rows))
    columns = (Column("answered", "share"), Column("accuracy", "share"))
    caption = "Accuracy if only the surest cases are answered."
    yield Table(
        f"curve-table-{key}", f"{name}: risk and coverage", caption, columns, tuple(map(Row, view.calibration.curve))
    )


def _labels(view: FacetView) -> Table:
    several = view.facet.cardinality == "multi"
    columns = [Column("label"), Column("precision", "share"), Column("recall", "share"), Column("F1", "share")]
    columns += [Column("support", "count"), Column("predicted", "count")]
    if several:
        columns += [
            Column("kappa", "number"),
            *_INTERVAL,
            *(Column(name, "count") for name in ("right", "missed", "wrongly given")),
        ]
    rows = []
    for row in view.labels:
        score = row.score
        cells: list[Cell] = [score.label, score.precision, score.recall, score.f1, score.support, score.predicted]
        if several:
            cells += [row.kappa.value, *_ends(row.kappa.interval)] if row.kappa else [None, None, None]
            cells += [cases.n if cases else 0 for cases in (row.right, row.missed, row.wrongly_given)]
        rows.append(Row(tuple(cells)))
    title = f"{view.facet.name}: label by label"
    return Table(f"labels-{view.facet.id}", title, "How well each label was found.", tuple(columns), tuple(rows))


def _of_comparison(found: Comparison, place: str) -> Iterator[Table]:
    title = f"{found.other} against {found.base}"
    columns: tuple[Column, ...] = (
        *(Column("metric"), Column("base", "number"), Column("other", "number"), Column("difference", "number")),
        *(*_INTERVAL, Column("n", "count"), Column("cases needed", "count"), Column("verdict")),
    )
    rows = [
        Row((one.metric, one.base, one.other, one.value, *_ends(one.interval), one.n, one.needed, _verdict(one)))
        for one in found.differences
    ]
    caption = f"The other less the base on {found.n} shared cases, with paired 95% intervals."
    yield Table(f"{place}-differences", title, caption, columns, tuple(rows))
    columns = (
        *(Column("facet"), Column("right in the base alone", "count"), Column("right in the other alone", "count")),
        *(Column("p", "number"), Column("p after Holm", "number")),
    )
    rows = [Row((one.facet, one.only_base, one.only_other, one.p, one.p_holm)) for one in found.tests]
    yield Table(f"{place}-mcnemar", f"{title}: McNemar", "McNemar's exact test.", columns, tuple(rows))
    columns = (Column("case"), Column("facet"), Column("gold"), Column("base"), Column("other"))
    for number, verdict in enumerate(("better", "worse", "otherwise wrong"), start=1):
        rows = [
            Row((one.case_id, one.facet, _said(one.gold), _said(one.base), _said(one.other)), (one.case_id,))
            for one in found.changes
            if one.verdict == verdict
        ]
        caption = f"{len(rows)} labels that changed: {verdict}."
        yield Table(f"{place}-changes-{number}", f"{title}: {verdict}", caption, columns, tuple(rows))


def _probabilities(several: bool) -> tuple[Column, ...]:
    said = Column("stated" if several else "predicted", "number")
    return (said,) if several else (said, Column("gold", "number"))


def _verdict(one: Difference) -> str:
    if not one.is_shown:
        return one.undefined or "not shown"
    return "better" if one.is_improvement else "worse"


def _said(labels: Sequence[str]) -> str:
    return "; ".join(labels) or ABSTAINED


def _ends(interval: Interval | None) -> tuple[Cell, Cell]:
    return (interval.low, interval.high) if interval else (None, None)


_COLUMNS = ("case", "facet", "gold", "predicted", "probability", "right", "status", "degraded", "seconds", "error")


def cases_csv(run: Run) -> str:
    """The cases of a run as CSV, one line per case and facet. Spreadsheet formulas are quoted."""
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
