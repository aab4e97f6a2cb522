"""The charts of one facet: agreement over time, and confusion."""

from __future__ import annotations

from collections.abc import Sequence

from triage.agreement import Confusion, Interval, Kappa, MeanAgreement
from triage.domain.taxonomy import Facet
from triage.insights.live_agreement.periods import LEAST, By, Period
from triage.render.charts import Chart, Goal, Moment, confusion_chart, over_time_chart


def charts_of(
    facet: Facet, periods: Sequence[Period], by: By, confusion: Confusion | None, gate: float | None
) -> tuple[Chart, ...]:
    """The model with people and people among themselves over time, and the confusion matrix; what of it there is."""
    goal = None if gate is None else Goal(gate, f"gate {gate:.2f}")
    found = []
    if any(one.model.value is not None for one in periods):
        title = f"{facet.name}: the model with people"
        moments = [_moment(one, one.model) for one in periods]
        found.append(over_time_chart(f"model-{facet.id}", title, _told("labels", by), moments, goal, "kappa"))
    if any(one.people.value is not None for one in periods):
        title = f"{facet.name}: people among themselves"
        moments = [_moment(one, one.people) for one in periods]
        figure = "alpha of sets" if facet.cardinality == "multi" else "kappa"
        caption = _told("incidents of two people", by)
        found.append(over_time_chart(f"people-{facet.id}", title, caption, moments, None, figure))
    if confusion is not None and confusion.n:
        names = {label.id: label.name for label in facet.labels}
        found.append(
            confusion_chart(
                f"confusion-{facet.id}",
                f"{facet.name}: confusion",
                f"n = {confusion.n}. The fill is the share of the row; where both agree is framed.",
                [names.get(label, label) for label in confusion.labels],
                confusion.counts,
                "people",
                "model",
            )
        )
    return tuple(found)


def _told(what: str, by: By) -> str:
    return f"By {by}, with 95% intervals; gaps where fewer than {LEAST} {what} count."


def _moment(period: Period, figure: Kappa | MeanAgreement) -> Moment:
    return Moment(period.start, figure.value, _ends(figure.interval), figure.n)


def _ends(interval: Interval | None) -> tuple[float, float] | None:
    return (interval.low, interval.high) if interval else None
