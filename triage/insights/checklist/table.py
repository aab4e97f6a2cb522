"""The checklist as a table."""

from __future__ import annotations

from triage.insights.checklist.steps import Checklist
from triage.render.tables import Column, Row, Table


def checklist_table(found: Checklist) -> Table:
    """One row for each step, with its evidence and what comes next."""
    rows = tuple(
        Row((step.title, "done" if step.is_fulfilled else "open", "; ".join(step.evidence), step.next))
        for step in found.steps
    )
    columns = (Column("step"), Column("state"), Column("evidence"), Column("next"))
    caption = f"Taxonomy {found.taxonomy}, {found.incidents} incidents in the history. {found.source}"
    return Table("checklist", "Adoption checklist", caption, columns, rows)
