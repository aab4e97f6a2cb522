"""Automation opportunities as tables."""

from __future__ import annotations

from triage.domain.annotation import Labels
from triage.domain.taxonomy import Taxonomy
from triage.insights.automation import Opportunities
from triage.render.tables import Column, Row, Table


def playbook_table(found: Opportunities, taxonomy: Taxonomy) -> Table:
    """The candidates, the surest saving first, each with the incidents behind it. Minutes are those of one incident."""
    columns = (
        Column("in incidents of"),
        Column("do"),
        Column("tried", "count"),
        Column("ended it alone", "share"),
        Column("95% from", "share"),
        Column("to", "share"),
        Column("median TTM, minutes", "minutes"),
        Column("saves, minutes", "minutes"),
        Column("saves from", "minutes"),
        Column("saves to", "minutes"),
        Column("words that tell it"),
        Column("words that speak against it"),
    )
    rows = []
    for one in found.playbooks:
        saved = one.saving.interval
        low, high = (saved.low, saved.high) if saved is not None else (None, None)
        cells = (
            kind_name(taxonomy, one.trigger),
            one.name,
            one.tried.hits,
            one.ended.share,
            one.ended.low,
            one.ended.high,
            one.times.median,
            one.saving.mean,
            low,
            high,
            ", ".join(one.words),
            ", ".join(one.guard.words),
        )
        rows.append(Row(cells, one.incidents))
    caption = f"From {found.incidents} labelled incidents. {' '.join(found.assumptions)}"
    return Table("playbooks", "Candidates for playbooks", caption, columns, tuple(rows))


def near_miss_table(found: Opportunities, taxonomy: Taxonomy) -> Table:
    """Frequent pairs of kind and action that are no candidates, with the reasons."""
    facet = taxonomy.mitigation
    columns = (
        Column("in incidents of"),
        Column("action"),
        Column("tried", "count"),
        Column("ended it alone", "share"),
        Column("median TTM, minutes", "minutes"),
        Column("why not"),
    )
    rows = tuple(
        Row(
            (
                kind_name(taxonomy, one.trigger),
                one.action if facet is None else facet.label(one.action).name,
                one.tried.hits,
                None if one.ended is None else one.ended.share,
                one.median_minutes,
                ", ".join(one.doubts),
            )
        )
        for one in found.near_misses
    )
    caption = "Frequent, and not shown to be both repeatable and fast."
    return Table("near-misses", "Not yet", caption, columns, rows)


def kind_name(taxonomy: Taxonomy, labels: Labels) -> str:
    """The kind of incident by the names of its labels, the coarser one first."""
    return ", ".join(taxonomy.facet(facet).label(label).name for facet, named in labels.items() for label in named)
