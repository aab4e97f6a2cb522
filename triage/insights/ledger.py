"""The mitigation ledger: for a kind of incident, what was tried, how often it ended the incident, and how fast.

Pure functions on labelled incidents. `Ledger.notes` explains what the labels can't show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, Field

from triage.agreement.proportion import Proportion
from triage.domain.annotation import Labels
from triage.domain.errors import InvalidInput
from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Taxonomy
from triage.pipeline.mitigation import named_actions, quartiles
from triage.render.quantities import percent
from triage.render.tables import Cell, Row, Table, columns_of

LEAST = 5
"""Figures based on fewer incidents are withheld: the interval of 4 out of 4 starts at 51%."""

_ABOUT_ENDED = (
    "`ended` counts incidents with a known end in which this was the only mitigation named. Where several were named "
    "the labels don't tell which one ended it: these count as tried and not as ended. A mitigation that was tried in "
    "vain and left out of the write-up is not seen at all."
)
_ABOUT_TIMES = "Times run from start to mitigation, or to resolution where that is all that is known."

Record = tuple[Incident, Labels]


class NoMitigationFacet(InvalidInput):
    """The taxonomy has no facet for mitigations."""

    title = "The taxonomy has no mitigations"

    def __init__(self, taxonomy: Taxonomy) -> None:
        super().__init__(
            f"No facet of taxonomy {taxonomy.id!r} has the role `mitigation`. Give a facet that role in its file.",
            field="taxonomy",
        )


class Kind(NamedTuple):
    """A kind of incident: any of these labels for each facet, and optionally a severity as written."""

    labels: Labels
    severity: str | None = None

    @classmethod
    def of(cls, taxonomy: Taxonomy, given: Mapping[str, Sequence[str]], severity: str | None = None) -> Kind:
        """A kind from facet -> names, aliases or ids of labels. Raises `UnknownFacet` or `UnknownLabel`."""
        return cls(
            {
                facet: tuple(dict.fromkeys(taxonomy.facet(facet).label(label).id for label in labels))
                for facet, labels in given.items()
            },
            severity,
        )

    def has(self, labels: Labels) -> bool:
        """True if these labels are of the kind, apart from its severity."""
        return all(set(ids) & set(labels.get(facet, ())) for facet, ids in self.labels.items())

    def holds(self, record: Record) -> bool:
        """True if the incident is of the kind."""
        incident, labels = record
        return self.has(labels) and (
            self.severity is None or incident.severity.casefold() == self.severity.strip().casefold()
        )


class LedgerShare(BaseModel, frozen=True):
    """`hits` of `n` with the 95% Wilson interval; None if there are none, or too few."""

    hits: int = Field(ge=0)
    n: int = Field(ge=0)
    share: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, hits: int, n: int, least: int = 1) -> LedgerShare:
        """The share with its interval, if `n` is at least `least`."""
        proportion = Proportion(hits=hits, n=n)
        low, high = (proportion.interval if n >= least else None) or (None, None)
        return cls(hits=hits, n=n, share=None if low is None else proportion.share, low=low, high=high)

    def __str__(self) -> str:
        interval = "" if self.low is None else f" [{percent(self.low)}, {percent(self.high)}]"
        return f"{self.hits} of {self.n}{interval}"


class Times(BaseModel, frozen=True):
    """Median and quartiles of the time to mitigate, in minutes, of `n` incidents."""

    median: float
    low_quartile: float
    high_quartile: float
    n: int

    @classmethod
    def of(cls, minutes: Sequence[float]) -> Times:
        """The quartiles of at least one time."""
        low, middle, high = quartiles(minutes)
        return cls(median=middle, low_quartile=low, high_quartile=high, n=len(minutes))

    def __str__(self) -> str:
        return f"{self.median:.0f} ({self.low_quartile:.0f}-{self.high_quartile:.0f}), {self.n}"


class First(BaseModel, frozen=True):
    """Incidents in which it was named first: `sufficed` of those with a known end named nothing else.

    `followed_by` counts the other mitigations named after it.
    """

    named: int
    sufficed: LedgerShare | None
    followed_by: dict[str, int]
    incidents: tuple[str, ...]


class Entry(BaseModel, frozen=True):
    """One mitigation. `tried` is of the incidents of the kind with a known mitigation, `ended` of those with a known
    end in which it was tried.

    Each incident in which it was tried is in one of `ended_alone`, `ended_with_others` (both give `times`) and
    `end_unknown`. If there are too few, figures are None and `withheld` says why.
    """

    mitigation: str
    name: str
    tried: LedgerShare
    ended: LedgerShare | None
    times: Times | None
    first: First | None
    ended_alone: tuple[str, ...]
    ended_with_others: tuple[str, ...]
    end_unknown: tuple[str, ...]
    withheld: str | None = None

    @property
    def incidents(self) -> tuple[str, ...]:
        """The incidents in which it was tried."""
        return (*self.ended_alone, *self.ended_with_others, *self.end_unknown)


class Ledger(BaseModel, frozen=True):
    """The mitigations of one kind of incident, most tried first.

    `matched` counts the incidents of the kind; `untold` lists those without a mitigation label. `order` explains what
    the order of labels means.
    """

    taxonomy: str
    facet: str
    labels: Labels
    severity: str | None
    least: int
    matched: int
    untold: tuple[str, ...]
    entries: tuple[Entry, ...]
    order: str
    withheld: str | None
    notes: tuple[str, ...]


def ledger(taxonomy: Taxonomy, records: Iterable[Record], kind: Kind, least: int = LEAST) -> Ledger:
    """Make the ledger of a kind. Raises `NoMitigationFacet`."""
    facet = taxonomy.mitigation
    if facet is None:
        raise NoMitigationFacet(taxonomy)
    matched = [record for record in records if kind.holds(record)]
    used = [(incident, named) for incident, labels in matched if (named := named_actions(facet, labels))]
    labelled = {incident.id for incident, _ in used}
    counts = Counter(mitigation for _, named in used for mitigation in named)
    ranked = sorted(counts, key=lambda mitigation: (-counts[mitigation], mitigation))
    few = f"only {len(used)} incidents of this kind name a mitigation, and figures need {least}"
    return Ledger(
        taxonomy=f"{taxonomy.id} {taxonomy.version}",
        facet=facet.id,
        labels=kind.labels,
        severity=kind.severity,
        least=least,
        matched=len(matched),
        untold=tuple(sorted(incident.id for incident, _ in matched if incident.id not in labelled)),
        entries=tuple(_entry(facet, mitigation, used, least) for mitigation in ranked),
        order=_about_order(facet),
        withheld=few if len(used) < least else None,
        notes=(_ABOUT_ENDED, _ABOUT_TIMES),
    )


def _entry(facet: Facet, mitigation: str, used: Sequence[tuple[Incident, list[str]]], least: int) -> Entry:
    tried = sorted(((i, named) for i, named in used if mitigation in named), key=lambda pair: pair[0].id)
    timed = [(incident, named) for incident, named in tried if incident.ttm_minutes is not None]
    alone = [incident.id for incident, named in timed if len(named) == 1]
    is_shown = len(timed) >= least
    why = f"only {len(timed)} of the {len(tried)} incidents have a known end, and figures need {least}"
    return Entry(
        mitigation=mitigation,
        name=facet.label(mitigation).name,
        tried=LedgerShare.of(len(tried), len(used), least),
        ended=LedgerShare.of(len(alone), len(timed)) if is_shown else None,
        times=Times.of([i.ttm_minutes for i, _ in timed if i.ttm_minutes is not None]) if is_shown else None,
        first=_first(mitigation, tried, least) if facet.cardinality == "primary_first" else None,
        ended_alone=tuple(alone),
        ended_with_others=tuple(incident.id for incident, named in timed if len(named) > 1),
        end_unknown=tuple(incident.id for incident, _ in tried if incident.ttm_minutes is None),
        withheld=None if is_shown else why,
    )


def _first(mitigation: str, tried: Sequence[tuple[Incident, list[str]]], least: int) -> First:
    named_first = [(incident, named) for incident, named in tried if named[0] == mitigation]
    timed = [named for incident, named in named_first if incident.ttm_minutes is not None]
    return First(
        named=len(named_first),
        sufficed=LedgerShare.of(sum(len(named) == 1 for named in timed), len(timed)) if len(timed) >= least else None,
        followed_by=dict(Counter(other for _, named in named_first for other in named[1:]).most_common()),
        incidents=tuple(incident.id for incident, _ in named_first),
    )


def _about_order(facet: Facet) -> str:
    if facet.cardinality == "primary_first":
        return (
            f"The first label of facet {facet.id!r} is the primary one, by the annotator's judgement: it stands for "
            "what was tried first only if your codebook says so. `followed_by` is what else was named, in no "
            "known order."
        )
    return (
        f"Facet {facet.id!r} is {facet.cardinality!r}: the order of its labels means nothing, so what was tried first "
        "can't be told. Make it `primary_first` and label the first attempt first to have it."
    )


def ledger_table(result: Ledger) -> Table:
    """One row per mitigation, most tried first, with its incidents.

    Shares are from 0 to 1 with 95% intervals, times are minutes; withheld figures are empty.
    """
    is_ordered = any(entry.first for entry in result.entries)
    columns = columns_of(
        "mitigation | tried:count | of:count | ended it alone:count | of known ends:count | share:share"
        " | 95% from:share | to:share | median TTM, minutes:minutes | quarter below:minutes | quarter above:minutes"
        + (" | named first:count | and sufficed:share" if is_ordered else "")
        + " | withheld"
    )
    rows = []
    for entry in result.entries:
        tried, ended, times, first = entry.tried, entry.ended, entry.times, entry.first
        cells: list[Cell] = [entry.name, tried.hits, tried.n]
        cells += [ended.hits, ended.n, ended.share, ended.low, ended.high] if ended else [None] * 5
        cells += [times.median, times.low_quartile, times.high_quartile] if times else [None] * 3
        if is_ordered:
            cells += [first.named, first.sufficed.share if first.sufficed else None] if first else [None] * 2
        rows.append(Row((*cells, entry.withheld), entry.incidents))
    named = result.matched - len(result.untold)
    caption = f"{result.matched} incidents of this kind, {named} of them name a mitigation."
    if result.withheld:
        caption += f" Too few to tell: {result.withheld}."
    return Table("ledger", "Mitigations that were tried", caption, columns, tuple(rows))
