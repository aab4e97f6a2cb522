"""Corpora to study: the shipped history, a file, or what a service has labelled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from triage.domain.annotation import Annotation, Labels
from triage.domain.errors import InvalidInput
from triage.domain.incident import Incident
from triage.domain.principal import seen_teams
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import shipped_history
from triage.insights.study.corpus import Corpus, Record, origin_of
from triage.insights.study.roles import Roles
from triage.insights.study.study import Study, StudyOptions, make_study
from triage.intake.custom_fields import read_fields
from triage.intake.labelled import read_labelled
from triage.store import Store

MOST = 20_000
"""Incidents studied at once, the newest: more would take minutes of a core, see docs/study.md."""
_SHIPPED = "llm_inference"

Vectors = Mapping[str, NDArray[np.float32]]


class Loaded(NamedTuple):
    """A corpus, and the embeddings of its incidents (incident id -> unit vector) as far as there are any."""

    corpus: Corpus
    vectors: Vectors


def shipped_corpus(taxonomy: Taxonomy) -> Corpus:
    """The shipped history. Raises `InvalidInput` for a taxonomy that it is not labelled with."""
    if taxonomy.id != _SHIPPED:
        raise InvalidInput(
            f"The shipped history is labelled with {_SHIPPED}, not {taxonomy.id}: name a file.", field="file"
        )
    records = tuple(Record(*record) for record in shipped_history())
    return Corpus(
        "the shipped history", taxonomy, records, "derived by the project from the providers' published causes"
    )


def file_corpus(
    path: Path,
    taxonomy: Taxonomy | None,
    facets: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
    *,
    are_human: bool = False,
    skip_bad: bool = False,
) -> Corpus:
    """The incidents of a file as `triage import` takes them, or with `facets` and `fields` as `read_fields` does.

    Raises what these raise.
    """
    origin = "given by people" if are_human else "derived, or of an origin that was not said"
    if facets or fields or skip_bad:
        read = read_fields(path, taxonomy, facets or {}, fields or {}, skip_bad=skip_bad)
        return Corpus(path.name, read.taxonomy, _records(read.records), origin, notes=read.notes)
    if taxonomy is None:
        raise InvalidInput("Name the taxonomy, or say with --facet which fields hold labels.", field="taxonomy")
    return Corpus(path.name, taxonomy, _records(read_labelled(path, taxonomy).records), origin)


async def stored_corpus(
    store: Store,
    taxonomy: Taxonomy,
    *,
    teams: Collection[str] | None = None,
    fingerprint: str = "",
    most: int = MOST,
) -> Loaded:
    """What a service has labelled: the newest `most` incidents with gold labels of these teams and the shared ones.

    None is all teams. `fingerprint` is that of the embedder whose vectors are kept. Labels that the taxonomy does not
    have, such as those of an earlier version, are left out and told in the notes.
    """
    records, n = await _newest(store, teams, most)
    fitting, strange = _fitting(records, taxonomy)
    seen = seen_teams(teams)
    several = [key for _, key in await store.annotations.list_labelled(2, limit=most, teams=seen)]
    annotations = await _annotations(store, {*several, *(record.id for record in fitting)}, taxonomy)
    vectors = await store.vectors.find_many(fingerprint, [record.id for record in fitting]) if fingerprint else {}
    notes = []
    if n > len(records):
        notes.append(f"The newest {len(records)} of {n} labelled incidents are studied.")
    if strange:
        notes.append(f"{strange} label(s) that {taxonomy.id} {taxonomy.version} does not have are left out.")
    studied = {record.id for record in fitting}
    origin = origin_of(one for one in annotations if one.incident_id in studied)
    corpus = Corpus("the service's incidents", taxonomy, tuple(fitting), origin, tuple(annotations), tuple(notes))
    return Loaded(corpus, vectors)


class Studies:
    """Studies of what a service has labelled. One is made at a time: each takes a core for as long as it takes."""

    def __init__(self, store: Store, taxonomy: Taxonomy, roles: Roles, fingerprint: str = "") -> None:
        self._store = store
        self._taxonomy = taxonomy
        self.roles = roles
        self._fingerprint = fingerprint
        self._turn = asyncio.Lock()

    async def of(
        self,
        teams: Collection[str] | None = None,
        options: StudyOptions = StudyOptions(),  # noqa: B008 - immutable
        most: int = MOST,
    ) -> Study:
        """The study of what these teams may see (None: of all teams)."""
        async with self._turn:
            loaded = await stored_corpus(
                self._store, self._taxonomy, teams=teams, fingerprint=self._fingerprint, most=most
            )
            return await asyncio.to_thread(make_study, loaded.corpus, self.roles, options, loaded.vectors)


def _records(records: Iterable[tuple[Incident, Labels]]) -> tuple[Record, ...]:
    return tuple(Record(*record) for record in records)


async def _newest(store: Store, teams: Collection[str] | None, most: int) -> tuple[list[Record], int]:
    """The incidents that began last, and how many there are in all. Those without a start count as oldest."""
    kept: list[Record] = []
    n = 0
    async for portion in store.gold.incident_pages(teams):
        n += len(portion)
        kept += _records(portion)
        if len(kept) > 2 * most:
            kept = _last(kept, most)
    return _last(kept, most), n


def _last(records: list[Record], most: int) -> list[Record]:
    if len(records) <= most:
        return records
    began = sorted(records, key=lambda record: _began(record.incident), reverse=True)
    return sorted(began[:most], key=lambda record: record.id)


def _began(incident: Incident) -> float:
    return incident.started_at.timestamp() if incident.started_at else -1e12


def _fitting(records: Iterable[Record], taxonomy: Taxonomy) -> tuple[list[Record], int]:
    """The records with the labels that the taxonomy has, and how many labels it does not have."""
    known = {facet.id: set(facet.ids) for facet in taxonomy.facets}
    fitting, strange = [], 0
    for record in records:
        labels = {
            facet: tuple(label for label in given if label in known.get(facet, set()))
            for facet, given in record.labels.items()
        }
        strange += sum(map(len, record.labels.values())) - sum(map(len, labels.values()))
        fitting.append(record._replace(labels={facet: given for facet, given in labels.items() if given}))
    return fitting, strange


async def _annotations(store: Store, incident_ids: Collection[str], taxonomy: Taxonomy) -> list[Annotation]:
    """All annotations of these incidents with facets of the taxonomy, oldest first."""
    known = {facet.id for facet in taxonomy.facets}
    found = await store.annotations.list_many(sorted(incident_ids))
    return sorted(
        (one for annotations in found.values() for one in annotations if one.facet in known),
        key=lambda one: one.id or 0,
    )
