"""The tables of how incidents were detected and ended."""

from __future__ import annotations

from collections.abc import Iterator

from triage.domain.taxonomy import Taxonomy
from triage.insights.study.responses import DetectionSplit, MitigationStudy, SavedTime
from triage.insights.study.share_rows import SHARES, share_row
from triage.render.tables import Column, Row, Table

DETECTION = "How they were detected"
MITIGATION = "How they were ended"
_LIKELY = 0.05


def detection_tables(one: DetectionSplit | None, taxonomy: Taxonomy) -> Iterator[Table]:
    """The split, and what customers had to report."""
    if one is None:
        return
    shares = [share for share in (one.automated, one.reported) if share]
    told = one.silent.n - one.silent.hits
    yield Table(
        "detection-split",
        "Detected by machines and by customers",
        f"Shares of the {told} incident(s) that tell it; {one.silent.hits} of {one.silent.n} don't.",
        (Column("detected"), *SHARES),
        tuple(share_row(share) for share in (*shares, one.silent) if share.n),
        DETECTION,
    )
    reported = one.reported.hits if one.reported else 0
    rows = []
    for gap in one.gaps:
        facet = taxonomy.facet(gap.facet)
        cells = share_row(gap.reported, facet.label(gap.label).name).cells
        verdict = ""
        if gap.p <= _LIKELY:
            more = (gap.reported.share or 0) > (gap.elsewhere.share or 0)
            verdict = f"{'more' if more else 'less'} than others"
        rows.append(Row((facet.name, *cells, gap.elsewhere.share, verdict), gap.reported.incident_ids))
    yield Table(
        "detection-gaps",
        "Detection gaps: what customers had to report",
        f"How many of the incidents with each label customers reported, of those that tell how they were detected; "
        f"{reported} in all. A label is said to be reported more or less than others where Fisher's exact test says so "
        "at 5%, corrected for the number of labels.",
        (Column("facet"), Column("label"), *_named(SHARES), Column("of the others", "share"), Column("reading")),
        tuple(rows),
        DETECTION,
    )


def mitigation_tables(one: MitigationStudy | None) -> Iterator[Table]:
    """Hotfixes, what automation could have done, and the time that would have saved."""
    if one is None:
        return
    shares = [share for share in (one.hotfix, one.automatable, one.partly) if share]
    told = one.silent.n - one.silent.hits
    if shares:
        yield Table(
            "mitigation-shares",
            "Hotfixes, and what automation could have done",
            f"Shares of the {told} incident(s) whose write-up tells what ended them; {one.silent.hits} of "
            f"{one.silent.n} don't. Whether an action that automation could take would have been taken rightly is not "
            "known.",
            (Column("ended"), *SHARES),
            tuple(share_row(share) for share in (*shares, one.silent) if share.n),
            MITIGATION,
        )
    if one.saved is not None and one.saved.saved_minutes is not None:
        yield _saved(one.saved)


def _saved(saved: SavedTime) -> Table:
    low, high = saved.interval or (None, None)
    of_all = saved.saved_minutes / saved.all_minutes if saved.saved_minutes is not None and saved.all_minutes else None
    each = saved.saved_minutes / saved.n if saved.saved_minutes is not None and saved.n else None
    return Table(
        "saved-time",
        "Time that automation would have saved",
        f"{saved.n} incident(s) ended by such actions alone whose times are known, of {saved.n_all} incidents with "
        "known times. Supposed: those that took longer than the supposed time would have ended by then. The supposed "
        f"time is {saved.minutes_from}. An assumption, no measurement; the interval (bootstrap) tells of the chance in "
        "which incidents there were, not of how good the assumption is.",
        (
            Column("incidents", "count"),
            Column("supposed minutes", "minutes"),
            Column("minutes taken", "minutes"),
            Column("minutes saved", "minutes"),
            Column("95% from", "minutes"),
            Column("to", "minutes"),
            Column("each", "minutes"),
            Column("of all minutes", "share"),
        ),
        (
            Row(
                (saved.n, saved.minutes, saved.total_minutes, saved.saved_minutes, low, high, each, of_all),
                saved.incident_ids,
            ),
        ),
        MITIGATION,
    )


def _named(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    return (Column("reported", "count"), *columns[1:])
