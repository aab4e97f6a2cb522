"""Runs the radar on the store: recent incidents with their triages, compared with labelled ones."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from triage.domain.annotation import Labels
from triage.domain.errors import InvalidInput
from triage.domain.incident import Incident
from triage.domain.principal import seen_teams
from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.triage_result import FacetResult, Triage
from triage.history import Example
from triage.history.casebook import Casebook
from triage.insights.radar.findings import Radar, Reason, Sighting, reasons, usual_nearest
from triage.insights.radar.scan import DEFAULT_CRITERIA, Criteria, Suspect, scan
from triage.models.embedding import Vectors
from triage.observability.progress import Progress, silent
from triage.pipeline.mitigation import kind_facets
from triage.redaction import Redactor
from triage.store import IncidentQuery, Store, StoredIncident

RECENT = 1_000
"""The number of latest incidents that are scanned."""

_MOST_LABELLED = 2_000
_MOST_TEXTS = 1_000
_PAGE = 500


class Scope(NamedTuple):
    """What to scan: a facet (None: the finest facet of the kind of incident), the `recent` incidents of these teams and
    the shared history (None: all teams), and at most how many incidents without a vector are embedded now."""

    facet: str | None = None
    recent: int = RECENT
    teams: Collection[str] | None = None
    most_embedded: int | None = None


async def scan_store(
    store: Store, casebook: Casebook, scope: Scope, criteria: Criteria = DEFAULT_CRITERIA, progress: Progress = silent
) -> Radar:
    """The radar over what is stored. `progress` reports embedding.

    Labels that the taxonomy lacks, such as those of an earlier version, are left out and counted in the notes. Raises
    `UnknownFacet`, `InvalidInput` for an ordered facet, and `ModelUnavailable` if the embedder is unavailable.
    """
    taxonomy = casebook.taxonomy
    facet = facet_of(taxonomy, scope.facet)
    teams = seen_teams(scope.teams)
    stored = await _recent(store, taxonomy, scope.recent, teams)
    gold = await store.gold.find_many(stored)
    given = {name: labels.get(facet.id, ()) for name, labels in gold.items()}
    fitting = {name: _fitting(facet, labels) for name, labels in given.items()}
    documents = await store.triages.find_documents([name for name in stored if not fitting.get(name)])
    triages = await asyncio.to_thread(
        lambda: {name: Triage.model_validate_json(document) for name, document in documents.items()}
    )
    labelled = await _labelled(store, casebook, facet, teams)
    places = np.stack([vector for _, _, vector in labelled]) if labelled else np.zeros((0, 0), dtype=np.float32)
    usual = await asyncio.to_thread(usual_nearest, places, criteria.far)
    known = await store.vectors.find_many(casebook.fingerprint, stored)
    sightings = _sightings(facet, stored, fitting, triages, casebook.fingerprint)
    triaged_labels = [triage.facets[facet.id].labels for triage in triages.values() if facet.id in triage.facets]
    unknown = sum(len(labels) - len(_fitting(facet, labels)) for labels in (*given.values(), *triaged_labels))

    def doubted(vectors: Mapping[str, Vectors]) -> list[tuple[Sighting, tuple[Reason, ...]]]:
        placed = [_placed(sighting, vectors.get(sighting.id), places) for sighting in sightings]
        return [
            (sighting, why_not)
            for sighting in placed
            if (why_not := reasons(facet, sighting, criteria.least_probability, usual))
        ]

    poorly_fitting = await asyncio.to_thread(doubted, known)
    vectors = known | await casebook.vectors(
        [sighting.incident for sighting, _ in poorly_fitting], scope.most_embedded, progress
    )

    def finish() -> Radar:
        suspects = [
            Suspect(
                sighting._replace(incident=Redactor().redact_incident(sighting.incident)),
                why_not,
                vectors.get(sighting.id),
                _parents(facet, gold.get(sighting.id, {}), triages.get(sighting.id)),
            )
            for sighting, why_not in doubted(vectors)
        ]
        radar = scan(taxonomy, facet, suspects, _as_examples(labelled), len(stored), criteria)
        if not unknown:
            return radar
        note = f"{unknown} label(s) that {taxonomy.id} {taxonomy.version} does not have are left out."
        return radar.model_copy(update={"notes": (*radar.notes, note)})

    return await asyncio.to_thread(finish)


def facet_of(taxonomy: Taxonomy, facet_id: str | None) -> Facet:
    """The facet with this id, or the finest facet of the kind of incident. Raises what `scan_store` raises."""
    if facet_id is not None:
        facet = taxonomy.facet(facet_id)
        if facet.ordered:
            raise InvalidInput(
                f"Facet {facet_id!r} is ordered: poor fits lie between two of its labels. Choose another facet.",
                field="facet",
            )
        return facet
    kinds = [facet for facet in kind_facets(taxonomy) if not facet.ordered]
    if not kinds:
        raise InvalidInput(
            f"No triaged facet of taxonomy {taxonomy.id!r} describes the kind of incident. Name a facet.", field="facet"
        )
    return kinds[-1]


async def _recent(
    store: Store, taxonomy: Taxonomy, most: int, teams: Collection[str] | None
) -> dict[str, StoredIncident]:
    """Incident id -> the incident, newest first."""
    recent: dict[str, StoredIncident] = {}
    cursor, left = None, most
    while left > 0:
        page = await store.incidents.list(min(left, _PAGE), cursor, IncidentQuery(teams=teams))
        ids = [listed.id for listed in page.incidents if listed.taxonomy == taxonomy.id]
        stored = await store.incidents.find_many(ids)
        recent |= {name: stored[name] for name in ids if name in stored}
        cursor, left = page.next_cursor, left - len(page.incidents)
        if cursor is None:
            break
    return recent


async def _labelled(
    store: Store, casebook: Casebook, facet: Facet, teams: Collection[str] | None
) -> list[tuple[Incident, Labels, Vectors]]:
    """The newest incidents with a gold label of the facet that says what they are, newest first."""
    gold = await store.gold.list_newest(casebook.taxonomy.id, _MOST_LABELLED, teams)
    says = {label.id for label in facet.labels if not (label.residual or label.undisclosed)}
    fitting = [name for name, labels in gold.items() if says & set(labels.get(facet.id, ())[:1])]
    vectors = await store.vectors.find_many(casebook.fingerprint, fitting)
    stored = await store.incidents.find_many(vectors)
    return [(stored[name].incident, gold[name], vectors[name]) for name in fitting if name in stored]


def _sightings(
    facet: Facet,
    stored: Mapping[str, StoredIncident],
    gold: Mapping[str, tuple[str, ...]],
    triages: Mapping[str, Triage],
    fingerprint: str,
) -> list[Sighting]:
    sightings = []
    for name, incident in stored.items():
        triage = triages.get(name)
        alike = [n.similarity for n in triage.neighbours if facet.id in n.labels] if triage else []
        is_comparable = triage is not None and triage.provenance.embedder == fingerprint
        sightings.append(
            Sighting(
                incident=incident.incident,
                seen_at=incident.incident.started_at or incident.created_at,
                labels=gold.get(name, ()),
                result=_result(facet, triage) if triage else None,
                nearest=max(alike) if alike and is_comparable else None,
            )
        )
    return sightings


def _fitting(facet: Facet, labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(label for label in labels if label in facet.ids)


def _result(facet: Facet, triage: Triage) -> FacetResult | None:
    """The triage's result for the facet, with labels that the facet has; None if none is left."""
    result = triage.facets.get(facet.id)
    if result is None or not result.labels:
        return result
    labels = _fitting(facet, result.labels)
    return result.model_copy(update={"labels": labels}) if labels else None


def _placed(sighting: Sighting, vector: Vectors | None, labelled: Vectors) -> Sighting:
    """The sighting with its current nearest similarity: the history may have changed since the triage."""
    if vector is None or not len(labelled):
        return sighting
    return sighting._replace(nearest=float((labelled @ vector).max()))


def _parents(facet: Facet, gold: Labels, triage: Triage | None) -> tuple[str, ...]:
    """The parent labels: gold ones, else the triage's, else its most probable one."""
    if facet.parent is None or gold.get(facet.parent):
        return gold.get(facet.parent or "", ())
    result = triage.facets.get(facet.parent) if triage else None
    return () if result is None else result.labels or tuple(entry.label for entry in result.distribution[:1])


def _as_examples(labelled: Sequence[tuple[Incident, Labels, Vectors]]) -> list[Example]:
    """The labelled incidents as examples; the first ones with their redacted text."""
    return [
        Example(incident.id, Redactor().redact_incident(incident).text if place < _MOST_TEXTS else "", vector, labels)
        for place, (incident, labels, vector) in enumerate(labelled)
    ]
