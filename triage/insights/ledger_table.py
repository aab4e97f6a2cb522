"""The ledger as a table."""

from __future__ import annotations

from triage.insights.ledger import Entry, Ledger, Share
from triage.render.tables import Cell, Column, Row, Table


def ledger_table(found: Ledger) -> Table:
    """One row for each mitigation, most tried first, with the incidents in which it was tried.

    Shares are 0 to 1 with their 95% intervals, times are minutes; what rests on too few incidents is empty.
    """
    columns = [
        Column("mitigation"),
        Column("tried", "count"),
        Column("of", "count"),
        Column("ended it alone", "count"),
        Column("of known ends", "count"),
        Column("share", "share"),
        Column("95% from", "share"),
        Column("to", "share"),
        Column("median TTM, minutes", "minutes"),
        Column("quarter below", "minutes"),
        Column("quarter above", "minutes"),
    ]
    is_ordered = any(entry.first for entry in found.entries)
    if is_ordered:
        columns += [Column("named first", "count"), Column("and sufficed", "share")]
    columns.append(Column("withheld"))
    rows = []
    for entry in found.entries:
        first = _first(entry) if is_ordered else ()
        times: tuple[Cell, ...] = (None,) * 3
        if entry.times is not None:
            times = (entry.times.median, entry.times.low_quartile, entry.times.high_quartile)
        cells = (entry.name, entry.tried.hits, entry.tried.n, *_share(entry.ended), *times, *first, entry.withheld)
        rows.append(Row(cells, entry.incidents))
    named = found.matched - len(found.untold)
    caption = f"{found.matched} incidents of this kind, {named} of them name a mitigation."
    if found.withheld:
        caption += f" Too few to tell: {found.withheld}."
    return Table("ledger", "Mitigations that were tried", caption, tuple(columns), tuple(rows))


def _share(share: Share | None) -> tuple[Cell, ...]:
    return (None,) * 5 if share is None else (share.hits, share.n, share.share, share.low, share.high)


def _first(entry: Entry) -> tuple[Cell, ...]:
    if entry.first is None:
        return (None, None)
    return (entry.first.named, None if entry.first.sufficed is None else entry.first.sufficed.share)
