"""The tables of a run as values, for files. Each has the id that it has in the report."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from triage.agreement import Interval
from triage.evaluation.compare import Comparison, Difference
from triage.evaluation.metrics import ABSTAINED
from triage.evaluation.reports.facet_view import CaseList, FacetView
from triage.evaluation.reports.run_view import RunView
from triage.evaluation.runs import Run
from triage.render.tables import Cell, Column, Row, Table, columns_of, formula_safe


def tables_of(view: RunView) -> list[Table]:
    """All tables of a run that have rows."""
    found = [*_of_run(view), *(table for facet in view.facets for table in _of_facet(facet))]
    return [table for table in found if table.rows]


def comparison_tables(found: Comparison, place: str = "comparison") -> list[Table]:
    """The tables of a comparison that have rows; `place` is the prefix of their ids."""
    return [table for table in _of_comparison(found, place) if table.rows]


def cases_table(view: FacetView, cases: CaseList) -> Table:
    """The cases behind one count, the most probable predictions first."""
    several = view.facet.cardinality == "multi"
    columns = columns_of("case | stated:number" if several else "case | predicted:number | gold:number")
    rows = [(case.case_id, case.predicted, *(() if several else (case.gold,))) for case in cases.cases]
    caption = f"{cases.n} cases" + (f", of which these are the first {len(rows)}." if cases.n > len(rows) else ".")
    return _of_cases(cases.anchor, f"{view.facet.name}. {view.title_of(cases)}", caption, columns, rows)


def _table(id_: str, title: str, caption: str, columns: Iterable[Column], rows: Iterable[Sequence[Cell]]) -> Table:
    return Table(id_, title, caption, tuple(columns), tuple(Row(tuple(cells)) for cells in rows))


def _of_cases(
    id_: str, title: str, caption: str, columns: Iterable[Column], rows: Iterable[tuple[str, *tuple[Cell, ...]]]
) -> Table:
    """A table whose rows begin with the id of their case."""
    return Table(id_, title, caption, tuple(columns), tuple(Row(cells, (cells[0],)) for cells in rows))


def _of_run(view: RunView) -> Iterator[Table]:
    summary = view.report.summary
    yield _table(
        "gates-table",
        "Gates",
        "What must hold, and whether it does.",
        columns_of("gate | result | value:number | from:number | to:number | n:count | why"),
        [(one.gate, one.status, one.value, *_ends(one.interval), one.n, one.explanation) for one in view.report.gates],
    )
    yield _table(
        "metrics-table",
        "Metrics",
        "Each metric with its 95% bootstrap interval over the cases.",
        columns_of("metric | value:number | from:number | to:number | n:count | meaning"),
        [
            (one.metric, one.value, *_ends(one.interval), one.n, one.undefined or meaning)
            for one, _, meaning in view.metrics
        ],
    )
    yield _of_cases(
        "worst",
        "Worst cases",
        f"All {len(view.wrong)} cases with a wrong label, those first whose wrong label was stated most surely.",
        columns_of("case | facet | gold | predicted | probability:number"),
        [
            (one.record.case_id, answer.facet.id, _join(answer.gold), _join(answer.predicted), answer.confidence)
            for one in view.wrong
            for answer in one.answers
        ],
    )
    totals: list[tuple[Cell, ...]] = [(one.metric, one.value) for one in view.costs]
    totals += [("prompt tokens", summary.prompt_tokens), ("completion tokens", summary.completion_tokens)]
    totals.append(("dropped quotes", summary.dropped_quotes))
    yield _table("costs", "Cost and latency", "What the run took.", columns_of("metric | value:number"), totals)
    steps = columns_of("step | seconds:number")
    yield _table("steps", "Steps", "Mean seconds of each step.", steps, view.origins.steps)
    settings = [(name, str(value)) for name, value in view.info.identity.settings.items()]
    yield _table("settings", "Settings", "Settings that decide the results.", columns_of("setting | value"), settings)
    reasons = summary.degraded_reasons.items()
    yield _table(
        "degraded", "Degraded cases", "Degraded cases, by reason.", columns_of("reason | cases:count"), reasons
    )
    caption = "Failed cases, which have no prediction and are not scored."
    yield _of_cases("failures", "Failed cases", caption, columns_of("case | error"), summary.failures.items())


def _of_facet(view: FacetView) -> Iterator[Table]:
    key, name = view.facet.id, view.facet.name
    yield _table(
        f"matrix-{key}",
        f"{name}: confusion",
        "Gold labels in rows, predicted ones in columns.",
        (Column("gold"), *(Column(label, "count") for label in view.columns)),
        [(row.label, *(cell.n for cell in row.cells)) for row in view.rows],
    )
    yield _labels(view)
    if view.calibration is None:
        return
    yield _table(
        f"bins-table-{key}",
        f"{name}: reliability",
        "Stated probability against the share right, in bins of equal size.",
        columns_of("stated:share | right:share | n:count"),
        [(one.stated, one.right, one.n) for one in view.calibration.bins],
    )
    yield _table(
        f"curve-table-{key}",
        f"{name}: risk and coverage",
        "Accuracy if only the surest cases are answered.",
        columns_of("answered:share | accuracy:share"),
        view.calibration.curve,
    )


def _labels(view: FacetView) -> Table:
    several = view.facet.cardinality == "multi"
    columns = "label | precision:share | recall:share | F1:share | support:count | predicted:count"
    if several:
        columns += " | kappa:number | from:number | to:number | right:count | missed:count | wrongly given:count"
    rows = []
    for row in view.labels:
        score = row.score
        cells: list[Cell] = [score.label, score.precision, score.recall, score.f1, score.support, score.predicted]
        if several:
            cells += [row.kappa.value, *_ends(row.kappa.interval)] if row.kappa else [None, None, None]
            cells += [cases.n if cases else 0 for cases in (row.right, row.missed, row.wrongly_given)]
        rows.append(cells)
    title = f"{view.facet.name}: label by label"
    return _table(f"labels-{view.facet.id}", title, "How well each label was found.", columns_of(columns), rows)


def _of_comparison(found: Comparison, place: str) -> Iterator[Table]:
    title = f"{found.other} against {found.base}"
    yield _table(
        f"{place}-differences",
        title,
        f"The other less the base on {found.n} shared cases, with paired 95% intervals.",
        columns_of(
            "metric | base:number | other:number | difference:number | from:number | to:number | n:count | "
            "cases needed:count | verdict"
        ),
        [
            (one.metric, one.base, one.other, one.value, *_ends(one.interval), one.n, one.needed, _verdict(one))
            for one in found.differences
        ],
    )
    yield _table(
        f"{place}-mcnemar",
        f"{title}: McNemar",
        "McNemar's exact test.",
        columns_of(
            "facet | right in the base alone:count | right in the other alone:count | p:number | p after Holm:number"
        ),
        [(one.facet, one.only_base, one.only_other, one.p, one.p_holm) for one in found.tests],
    )
    for number, verdict in enumerate(("better", "worse", "otherwise wrong"), start=1):
        rows = [
            (one.case_id, one.facet, _join(one.gold), _join(one.base), _join(one.other))
            for one in found.changes
            if one.verdict == verdict
        ]
        caption = f"{len(rows)} labels that changed: {verdict}."
        columns = columns_of("case | facet | gold | base | other")
        yield _of_cases(f"{place}-changes-{number}", f"{title}: {verdict}", caption, columns, rows)


def _verdict(one: Difference) -> str:
    if not one.is_shown:
        return one.undefined or "not shown"
    return "better" if one.is_improvement else "worse"


def _join(labels: Sequence[str]) -> str:
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
            gold, predicted = record.gold.get(facet, ()), record.predicted.get(facet, ())
            probability = record.distributions.get(facet, {}).get(predicted[0]) if predicted else None
            is_right = str(gold[:1] == predicted[:1]).lower() if gold and record.status == "done" else ""
            row = [record.case_id, facet, ";".join(gold), ";".join(predicted)]
            row += ["" if probability is None else f"{probability:.4f}", is_right, record.status]
            row += [str(record.degraded).lower(), f"{record.seconds:.3f}", record.error or ""]
            writer.writerow([formula_safe(cell) for cell in row])
    return file.getvalue()
