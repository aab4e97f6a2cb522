"""A share with its interval as a row of a table."""

from __future__ import annotations

from triage.insights.study.distributions import Share
from triage.render.tables import Column, Row

SHARES = (
    Column("incidents", "count"),
    Column("of", "count"),
    Column("share", "share"),
    Column("95% from", "share"),
    Column("to", "share"),
)


def share_row(share: Share, name: str | None = None) -> Row:
    """The share under its name and `SHARES`."""
    low, high = share.interval or (None, None)
    return Row((name or share.name, share.hits, share.n, share.share, low, high), share.incident_ids)
