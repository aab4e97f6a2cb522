"""The groups of the radar as a table."""

from __future__ import annotations

from triage.insights.radar.report import Radar
from triage.render.tables import Column, Row, Table


def radar_table(found: Radar) -> Table:
    """One row for each group, largest first, with its incidents."""
    columns = (
        Column("draft label"),
        Column("distinct incidents", "count"),
        Column("cohesion", "number"),
        Column("apartness", "share"),
        Column("nearest label"),
        Column("first seen"),
        Column("last seen"),
        Column("terms"),
    )
    rows = tuple(
        Row(
            (
                group.draft.label.id,
                group.size,
                group.cohesion,
                group.apartness,
                group.nearest[0].label if group.nearest else None,
                group.first_seen.isoformat(),
                group.last_seen.isoformat(),
                ", ".join(term.term for term in group.terms),
            ),
            group.incidents,
        )
        for group in found.groups
    )
    caption = f"{found.recent} recent incidents, {len(found.ill_fitting)} of which no label of {found.facet} fits well."
    return Table("radar", "Groups that no label fits", caption, columns, rows)
