"""One facet of a report: its matrix, labels and calibration, with the cases behind each count."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from triage.agreement import (
    Bin,
    Coverage,
    Kappa,
    LabelScore,
    accuracy_at,
    calibration_error_by_chance,
    expected_calibration_error,
    reliability,
    risk_coverage,
)
from triage.domain.taxonomy import Facet
from triage.evaluation.journal import CaseRecord
from triage.evaluation.metrics import ABSTAINED, FacetCases
from triage.evaluation.reports.charts import chart_confusion, chart_coverage, chart_reliability
from triage.evaluation.summary import FacetSummary
from triage.render.charts import Chart

LISTED = 200
"""The maximum of listed cases of one group, so that a report of thousands still opens."""

OF_A_LABEL = ("right", "missed", "wrongly given")


class ListedCase(NamedTuple):
    """One case in a list, with the stated probabilities of the predicted and of the gold label."""

    case_id: str
    predicted: float | None
    gold: float | None


class CaseList(NamedTuple):
    """The cases behind one count. `predicted` is None in a facet with several labels, where `gold` alone is counted.

    `outcome` is `right`, `wrong` or `abstained`, or for several labels one of `OF_A_LABEL`.
    """

    anchor: str
    facet: str
    gold: str
    predicted: str | None
    outcome: str
    cases: tuple[ListedCase, ...]
    n: int


def case_lists(records: Sequence[CaseRecord], facet: Facet, order: Sequence[str]) -> dict[tuple[str, str], CaseList]:
    """The cases behind each count, by gold and predicted label, both in this order.

    For a facet with several labels by label and outcome, as in `OF_A_LABEL`.
    """
    is_multi = facet.cardinality == "multi"
    groups: dict[tuple[str, str], list[ListedCase]] = {}
    for record in records:
        stated = record.distributions.get(facet.id, {})
        for key in _counts_of(record, facet):
            case = ListedCase(record.case_id, stated.get(key[0] if is_multi else key[1]), stated.get(key[0]))
            groups.setdefault(key, []).append(case)
    lists: dict[tuple[str, str], CaseList] = {}
    for gold, second in itertools.product(order, OF_A_LABEL if is_multi else order):
        if cases := sorted(groups.get((gold, second), ()), key=lambda case: -(case.predicted or 0.0)):
            outcome = "abstained" if second == ABSTAINED else "right" if gold == second else "wrong"
            lists[gold, second] = CaseList(
                f"cases-{facet.id}-{len(lists)}",
                facet.id,
                gold,
                None if is_multi else second,
                second if is_multi else outcome,
                tuple(cases[:LISTED]),
                len(cases),
            )
    return lists


def _counts_of(record: CaseRecord, facet: Facet) -> Iterator[tuple[str, str]]:
    gold, predicted = record.gold[facet.id], record.predicted.get(facet.id, ())
    if facet.cardinality != "multi":
        yield gold[0], predicted[0] if predicted else ABSTAINED
        return
    for label in {*gold, *predicted}:
        yield label, "wrongly given" if label not in gold else "right" if label in predicted else "missed"


_COVERAGES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


class Cell(NamedTuple):
    """One count of the matrix, its share of the row, and its cases."""

    n: int
    share: float
    is_right: bool
    cases: CaseList | None

    @property
    def heat(self) -> int:
        """The share in tenths, rounded up."""
        return math.ceil(10 * self.share)


class MatrixRow(NamedTuple):
    """The cases with one gold label, by predicted label."""

    label: str
    n: int
    cells: tuple[Cell, ...]


class LabelRow(NamedTuple):
    """The scores of one label. Only facets with several labels have the lists."""

    score: LabelScore
    kappa: Kappa | None = None
    right: CaseList | None = None
    missed: CaseList | None = None
    wrongly_given: CaseList | None = None


class Calibration(NamedTuple):
    """The calibration of the stated probabilities. `curve` holds a few points for the table beside the plot."""

    n: int
    bins: tuple[Bin, ...]
    ece: float | None
    ece_by_chance: float | None
    curve: tuple[tuple[float, float | None], ...]
    reliability: Chart
    coverage: Chart | None


class FacetView(NamedTuple):
    """What is shown of one facet."""

    facet: Facet
    summary: FacetSummary
    columns: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    labels: tuple[LabelRow, ...]
    calibration: Calibration | None
    lists: tuple[CaseList, ...]

    def name(self, label: str) -> str:
        """The taxonomy's name of a label; the label itself if it is unknown."""
        return name_of(self.facet, label)

    def title_of(self, cases: CaseList) -> str:
        """A title for the cases behind a count."""
        name = self.name(cases.gold)
        if cases.predicted is None:
            return f"{name}: {cases.outcome}"
        if cases.outcome == "right":
            return f"Right: gold and predicted {name}"
        if cases.outcome == "abstained":
            return f"Abstained: gold {name}"
        return f"Wrong: gold {name}, predicted {self.name(cases.predicted)}"

    @property
    def charts(self) -> tuple[Chart, ...]:
        """All charts of the facet. The page shows the confusion as a table with links to cases instead."""
        found = self.summary.confusion
        charts = [chart_confusion(self.facet.id, self.facet.name, found, self.name) if found and found.n else None]
        if self.calibration is not None:
            charts += [self.calibration.reliability, self.calibration.coverage]
        return tuple(chart for chart in charts if chart)


def name_of(facet: Facet, label: str) -> str:
    """The taxonomy's name of a label; the label itself if it is unknown."""
    return next((one.name for one in facet.labels if one.id == label), label)


def view_facet(facet: Facet, summary: FacetSummary, records: Sequence[CaseRecord]) -> FacetView:
    """The view of a facet, from its summary and the records behind it."""
    known = [record for record in records if record.status == "done" and record.gold.get(facet.id)]
    make = partial(FacetView, facet=facet, summary=summary, calibration=_calibration(known, facet))
    if facet.cardinality == "multi":
        agreements = summary.sets.labels if summary.sets else ()
        lists = case_lists(known, facet, [one.label for one in agreements])
        labels = tuple(
            LabelRow(one.score, one.kappa, *(lists.get((one.label, outcome)) for outcome in OF_A_LABEL))
            for one in agreements
            if one.score.support or one.score.predicted
        )
        return make(columns=(), rows=(), labels=labels, lists=tuple(lists.values()))
    used = summary.confusion.labels if summary.confusion else ()
    pairs = case_lists(known, facet, used)
    return make(
        columns=used,
        rows=tuple(_rows(summary, pairs)),
        labels=tuple(LabelRow(score) for score in summary.labels if score.support or score.predicted),
        lists=tuple(pairs.values()),
    )


def _rows(summary: FacetSummary, pairs: dict[tuple[str, str], CaseList]) -> Iterator[MatrixRow]:
    if summary.confusion is None:
        return
    labels = summary.confusion.labels
    for gold, counts in zip(labels, summary.confusion.counts, strict=True):
        total = sum(counts)
        if total:
            cells = (
                Cell(n, n / total, gold == predicted, pairs.get((gold, predicted)))
                for predicted, n in zip(labels, counts, strict=True)
            )
            yield MatrixRow(gold, total, tuple(cells))


def _calibration(records: Sequence[CaseRecord], facet: Facet) -> Calibration | None:
    """None if no probabilities are recorded."""
    stated, right = _each_label(records, facet) if facet.cardinality == "multi" else _best_label(records, facet)
    if not stated:
        return None
    bins = tuple(reliability(stated, right))
    curve: list[Coverage] = [] if facet.cardinality == "multi" else risk_coverage(stated, right)
    return Calibration(
        n=len(stated),
        bins=bins,
        ece=expected_calibration_error(stated, right),
        ece_by_chance=calibration_error_by_chance(stated),
        curve=tuple((share, accuracy_at(curve, share)) for share in _COVERAGES) if curve else (),
        reliability=chart_reliability(facet.id, facet.name, bins),
        coverage=chart_coverage(facet.id, facet.name, curve) if curve else None,
    )


def _best_label(records: Sequence[CaseRecord], facet: Facet) -> tuple[list[float], list[bool]]:
    """The probability of each case's likeliest label, and whether it is the gold one."""
    cases = FacetCases.of(records, facet)
    known = ~np.isnan(cases.stated)
    return cases.stated[known].tolist(), cases.is_right[known].tolist()


def _each_label(records: Sequence[CaseRecord], facet: Facet) -> tuple[list[float], list[bool]]:
    """The independent probability of each label of each case, and whether the case has the label."""
    pairs = [
        (probability, label in record.gold[facet.id])
        for record in records
        for label, probability in record.distributions.get(facet.id, {}).items()
    ]
    return [probability for probability, _ in pairs], [is_there for _, is_there in pairs]
