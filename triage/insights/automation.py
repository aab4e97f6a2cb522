"""Automation opportunities: mitigations that could become playbooks, ranked by the time they would save.

A candidate is frequent, repeatable and fast: the same action alone ended many incidents of the same kind in little
time. Its figures are those of the mitigation ledger of that kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from triage.agreement.interval import Floats, Interval, bootstrap
from triage.domain.annotation import Labels
from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Taxonomy
from triage.insights.ledger import LEAST, Entry, Kind, Ledger, LedgerShare, NoMitigationFacet, Record, Times, ledger
from triage.labels.codebook.terms import separating_terms, top_terms
from triage.pipeline.mitigation import kind_facets
from triage.redaction import Redactor
from triage.render.tables import Cell, Row, Table, columns_of

Doubt = Literal["few known ends", "not repeatable", "not fast"]

_MOST_TEXTS = 1_000
_CAUTION = (
    "These are the best of many pairs of kind and action, so their figures flatter them: run a candidate in shadow, "
    "with a person who confirms, before it acts alone. Labels tell what ended an incident, not that it was safe."
)


class Criteria(NamedTuple):
    """What makes a candidate.

    Frequent: tried in at least `least` incidents of the kind with a known end. Repeatable: the interval of the share
    that it ended alone starts at `least_consistency` or above. Fast: half of the incidents in which it was tried ended
    within `most_minutes`. `action_minutes` is the assumed time of the playbook from detection to mitigation.
    """

    least: int = LEAST
    least_consistency: float = 0.5
    most_minutes: float = 180.0
    action_minutes: float = 5.0
    most_words: int = 6
    least_z: float = 1.5


DEFAULT_CRITERIA = Criteria()


class Guard(BaseModel, frozen=True):
    """When not to run it: incidents of the kind in which it was not enough, or something else was done.

    `others` counts the other mitigations in them. `words` is always empty: words that tell few incidents apart guard
    nothing.
    """

    not_enough: tuple[str, ...]
    otherwise: tuple[str, ...]
    others: dict[str, int]
    words: tuple[str, ...] = Field(deprecated=True)


class Saving(BaseModel, frozen=True):
    """Mean minutes saved per incident over `n` past ones, with its interval; 0 where the action did not end it
    alone."""

    mean: float
    interval: Interval | None
    n: int


class Playbook(BaseModel, frozen=True):
    """A candidate: in incidents of kind `trigger`, with typical `words`, do `action` unless the guard applies."""

    trigger: Labels
    words: tuple[str, ...]
    action: str
    name: str
    definition: str
    tried: LedgerShare
    ended: LedgerShare
    times: Times
    saving: Saving
    guard: Guard
    incidents: tuple[str, ...]


class NearMiss(BaseModel, frozen=True):
    """A frequent pair of kind and action that is not a candidate, and why."""

    trigger: Labels
    action: str
    tried: LedgerShare
    ended: LedgerShare | None
    median_minutes: float | None
    doubts: tuple[Doubt, ...]


class Opportunities(BaseModel, frozen=True):
    """Candidates, the most certain saving first, and near misses."""

    taxonomy: str
    incidents: int
    median_minutes: float | None
    playbooks: tuple[Playbook, ...]
    near_misses: tuple[NearMiss, ...]
    assumptions: tuple[str, ...]


def redacted_texts(records: Sequence[Record], redactor: Redactor, most: int = _MOST_TEXTS) -> dict[str, str]:
    """Incident id -> redacted text of the `most` incidents that began last; words are searched in these."""
    newest = sorted((i for i, _ in records), key=lambda i: i.started_at.timestamp() if i.started_at else 0.0)[-most:]
    return {incident.id: redactor.redact(incident.text).text for incident in newest}


def opportunities(
    taxonomy: Taxonomy, records: Sequence[Record], texts: Mapping[str, str], criteria: Criteria = DEFAULT_CRITERIA
) -> Opportunities:
    """Find what could be automated. `texts` maps incident ids to redacted texts; others give no words.

    Kinds come from the facets that are triaged first and refine each other. If a finer kind is a candidate with the
    same action, the coarser one is left out. Raises `NoMitigationFacet`.
    """
    facet = taxonomy.mitigation
    if facet is None:
        raise NoMitigationFacet(taxonomy)
    detection = [incident.ttd_minutes for incident, _ in records if incident.ttd_minutes is not None]
    detected_after = median(detection) if detection else 0.0
    times = [incident.ttm_minutes for incident, _ in records if incident.ttm_minutes is not None]
    playbooks: list[Playbook] = []
    near: list[NearMiss] = []
    for kind in _kinds(taxonomy, records):
        kind_ledger = ledger(taxonomy, records, Kind(kind), criteria.least)
        for entry in kind_ledger.entries:
            if entry.tried.hits < criteria.least or not facet.label(entry.mitigation).is_action:
                continue
            doubts = tuple(_doubts(entry, criteria))
            finer = (playbook.trigger for playbook in playbooks if playbook.action == entry.mitigation)
            if doubts:
                median_minutes = entry.times.median if entry.times else None
                figures = {"tried": entry.tried, "ended": entry.ended, "median_minutes": median_minutes}
                near.append(NearMiss(trigger=kind, action=entry.mitigation, doubts=doubts, **figures))
            elif not any(kind.items() <= trigger.items() for trigger in finer):
                playbooks.append(_playbook(facet, kind_ledger, entry, records, texts, detected_after, criteria))
    playbooks.sort(key=lambda playbook: (-_certain_saving(playbook), -playbook.saving.mean, playbook.action))
    near.sort(key=lambda playbook: (len(playbook.doubts), -playbook.tried.hits, playbook.action, str(playbook.trigger)))
    return Opportunities(
        taxonomy=f"{taxonomy.id} {taxonomy.version}",
        incidents=len(records),
        median_minutes=median(times) if times else None,
        playbooks=tuple(playbooks),
        near_misses=tuple(near),
        assumptions=_assumptions(criteria, len(detection), detected_after),
    )


def _kinds(taxonomy: Taxonomy, records: Sequence[Record]) -> list[Labels]:
    """The kinds of incidents by their primary labels, finest first. Labels that the taxonomy lacks are ignored."""
    facets = kind_facets(taxonomy)
    kinds: dict[tuple[str, ...], None] = {}
    for _, labels in records:
        kind: tuple[str, ...] = ()
        for facet in facets:
            primary = labels.get(facet.id, ())[:1]
            if not set(primary) & set(facet.ids):
                break
            kind += primary
            kinds[kind] = None
    ordered = sorted(kinds, key=lambda kind: (-len(kind), kind))
    return [{facet.id: (label,) for facet, label in zip(facets, kind, strict=False)} for kind in ordered]


def _doubts(entry: Entry, criteria: Criteria) -> list[Doubt]:
    if entry.ended is None or entry.times is None or entry.ended.low is None:
        return ["few known ends"]
    doubts: list[Doubt] = ["not repeatable"] if entry.ended.low < criteria.least_consistency else []
    return [*doubts, "not fast"] if entry.times.median > criteria.most_minutes else doubts


def _playbook(
    facet: Facet,
    kind_ledger: Ledger,
    entry: Entry,
    records: Sequence[Record],
    texts: Mapping[str, str],
    detected_after: float,
    criteria: Criteria,
) -> Playbook:
    if entry.ended is None or entry.times is None:
        raise ValueError("a candidate has figures")
    kind = Kind(kind_ledger.labels)
    of_kind = [incident for incident, labels in records if kind.has(labels)]
    inside = {incident.id for incident in of_kind}
    elsewhere = [incident.id for incident, _ in records if incident.id not in inside]
    words = _words([incident.id for incident in of_kind], elsewhere, texts, criteria)
    return Playbook(
        trigger=kind_ledger.labels,
        words=words,
        action=entry.mitigation,
        name=entry.name,
        definition=facet.label(entry.mitigation).definition,
        tried=entry.tried,
        ended=entry.ended,
        times=entry.times,
        saving=_saving(of_kind, kind_ledger, entry, detected_after, criteria),
        guard=_guard(kind_ledger, entry),
        incidents=entry.incidents,
    )


def _guard(kind_ledger: Ledger, entry: Entry) -> Guard:
    used = set(entry.incidents)
    named: dict[str, list[str]] = {}
    for other in kind_ledger.entries:
        for incident_id in other.incidents:
            named.setdefault(incident_id, []).append(other.mitigation)
    otherwise = sorted(incident_id for incident_id in named if incident_id not in used)
    against = [*entry.ended_with_others, *otherwise]
    others = Counter(
        mitigation for incident_id in against for mitigation in named[incident_id] if mitigation != entry.mitigation
    )
    return Guard(
        not_enough=entry.ended_with_others, otherwise=tuple(otherwise), others=dict(others.most_common()), words=()
    )


def _words(
    first: Sequence[str], second: Sequence[str], texts: Mapping[str, str], criteria: Criteria
) -> tuple[str, ...]:
    """The words typical of the first group of incidents."""
    first_texts, second_texts = ([texts[name] for name in side if name in texts] for side in (first, second))
    terms = separating_terms(first_texts, second_texts, list(texts.values()))
    sides = top_terms(terms, least_z=criteria.least_z, least_texts=2, most=criteria.most_words)
    return tuple(term.term for term in sides[0])


def _saving(
    of_kind: Sequence[Incident], kind_ledger: Ledger, entry: Entry, detected_after: float, criteria: Criteria
) -> Saving:
    """Over all incidents of the kind with a known mitigation and end: the playbook would have run in each."""
    alone, unlabelled = set(entry.ended_alone), set(kind_ledger.untold)
    saved = []
    for incident in of_kind:
        if incident.ttm_minutes is None or incident.id in unlabelled:
            continue
        detected = detected_after if incident.ttd_minutes is None else incident.ttd_minutes
        best = max(0.0, incident.ttm_minutes - detected - criteria.action_minutes)
        saved.append(best if incident.id in alone else 0.0)
    values, times = np.unique(np.array(saved, dtype=np.float64), return_counts=True)

    def mean(draws: Floats) -> Floats:
        means: Floats = draws @ values / draws.sum(axis=1)
        return means

    interval = bootstrap(mean, times) if len(values) > 1 else None
    return Saving(mean=float(np.mean(saved)), interval=interval, n=len(saved))


def _certain_saving(playbook: Playbook) -> float:
    """Minutes saved per incident at the low end of the interval, times the number of incidents."""
    saving = playbook.saving
    return (saving.interval.low if saving.interval else 0.0) * saving.n


def _assumptions(criteria: Criteria, detections: int, detected_after: float) -> tuple[str, ...]:
    detection = (
        f"where an incident's detection isn't recorded it is taken as {detected_after:g} minutes after the start, the "
        f"median of the {detections} incidents that record it"
        if detections
        else "no incident records its detection, so it is taken as immediate and the saving is an upper bound"
    )
    return (
        f"Time saved = time to mitigate - time to detect - {criteria.action_minutes:g} minutes for the playbook, in "
        f"past incidents that the action ended alone; 0 in all others of the kind. "
        f"{detection[0].upper()}{detection[1:]}.",
        "Words are those of finished write-ups: one that tells how it ended, such as the action itself, is no sign at "
        "the start. Pick the others for an alert.",
        "The harm of running a playbook where it is the wrong one is not counted: that is what the guard is for.",
        _CAUTION,
    )


def playbook_table(result: Opportunities, taxonomy: Taxonomy) -> Table:
    """The candidates, the most certain saving first, with their incidents. Minutes are per incident."""
    columns = columns_of(
        "in incidents of | do | tried:count | ended it alone:share | 95% from:share | to:share"
        " | median TTM, minutes:minutes | saves, minutes:minutes | saves from:minutes | saves to:minutes"
        " | words that tell it"
    )
    rows = []
    for playbook in result.playbooks:
        ended, saving = playbook.ended, playbook.saving
        cells: list[Cell] = [kind_name(taxonomy, playbook.trigger), playbook.name, playbook.tried.hits]
        cells += [ended.share, ended.low, ended.high, playbook.times.median, saving.mean]
        cells += [saving.interval.low, saving.interval.high] if saving.interval else [None, None]
        cells.append(", ".join(playbook.words))
        rows.append(Row(tuple(cells), playbook.incidents))
    caption = f"From {result.incidents} labelled incidents. {' '.join(result.assumptions)}"
    return Table("playbooks", "Candidates for playbooks", caption, columns, tuple(rows))


def near_miss_table(result: Opportunities, taxonomy: Taxonomy) -> Table:
    """The near misses, with the reasons."""
    facet = taxonomy.mitigation
    columns = columns_of(
        "in incidents of | action | tried:count | ended it alone:share | median TTM, minutes:minutes | why not"
    )
    rows = []
    for miss in result.near_misses:
        action = miss.action if facet is None else facet.label(miss.action).name
        cells: tuple[Cell, ...] = (kind_name(taxonomy, miss.trigger), action, miss.tried.hits)
        share = None if miss.ended is None else miss.ended.share
        rows.append(Row((*cells, share, miss.median_minutes, ", ".join(miss.doubts))))
    caption = "Frequent, and not shown to be both repeatable and fast."
    return Table("near-misses", "Not yet", caption, columns, tuple(rows))


def kind_name(taxonomy: Taxonomy, labels: Labels) -> str:
    """The names of a kind's labels, the coarser one first."""
    return ", ".join(taxonomy.facet(facet).label(label).name for facet, named in labels.items() for label in named)
