"""Corpora for a study: the shipped history, a file, or the labelled incidents of a service."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
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
from triage.insights.live_agreement import LiveAgreement
from triage.insights.study.checklist import Checklist, EvalFolders, measure_checklist
from triage.insights.study.corpus import Corpus, Record, origin_of
from triage.insights.study.roles import Roles
from triage.insights.study.study import Study, StudyOptions, make_study
from triage.intake.custom_fields import read_fields
from triage.intake.labelled import read_labelled
from triage.store import Store

MOST = 20_000
"""The most incidents of a study, the newest: more would take minutes, see docs/study.md."""
_SHIPPED = "llm_inference"

Vectors = Mapping[str, NDArray[np.float32]]


class Loaded(NamedTuple):
    """A corpus, and the known embeddings of its incidents (incident id -> unit vector)."""

    corpus: Corpus
    vectors: Vectors


def shipped_corpus(taxonomy: Taxonomy) -> Corpus:
    """The shipped history. Raises `InvalidInput` for a taxonomy that it is not labelled with."""
    if taxonomy.id != _SHIPPED:
        raise InvalidInput(
            f"The shipped history is labelled with {_SHIPPED}, not {taxonomy.id}. Name a file.", field="file"
        )
    origin = "derived by the project from the providers' published causes"
    return Corpus("the shipped history", taxonomy, _records(shipped_history()), origin)


def file_corpus(
    path: Path,
    taxonomy: Taxonomy | None,
    facets: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
    *,
    are_human: bool = False,
    skip_bad: bool = False,
) -> Corpus:
    """The incidents of a file, as `triage import` reads it, or with `facets` and `fields` as `read_fields` does.

    Raises what these raise.
    """
    origin = "given by people" if are_human else "derived, or of an origin that was not said"
    if facets or fields or skip_bad:
        read = read_fields(path, taxonomy, facets or {}, fields or {}, skip_bad=skip_bad)
        return Corpus(path.name, read.taxonomy, _records(read.records), origin, notes=read.notes)
    if taxonomy is None:
        raise InvalidInput("Name the taxonomy, or use --facet to name the fields with labels.", field="taxonomy")
    return Corpus(path.name, taxonomy, _records(read_labelled(path, taxonomy)), origin)


async def stored_corpus(
    store: Store, taxonomy: Taxonomy, *, teams: Collection[str] | None = None, fingerprint: str = "", most: int = MOST
) -> Loaded:
    """The newest `most` incidents with gold labels of these teams (None: all) and the shared ones.

    `fingerprint` is that of the embedder whose vectors are read. Labels that the taxonomy lacks, such as those of an
    earlier version, are left out and counted in the notes.
    """
    records, n = await _newest(store, teams, most)
    fitting, unknown = _fitting(records, taxonomy)
    seen = seen_teams(teams)
    several = [key for _, key in await store.annotations.list_labelled(2, limit=most, teams=seen)]
    annotations = await _annotations(store, {*several, *(record.id for record in fitting)}, taxonomy)
    vectors = await store.vectors.find_many(fingerprint, [record.id for record in fitting]) if fingerprint else {}
    notes = []
    if n > len(records):
        notes.append(f"The newest {len(records)} of {n} labelled incidents are studied.")
    if unknown:
        notes.append(f"{unknown} label(s) that {taxonomy.id} {taxonomy.version} does not have are left out.")
    studied = {record.id for record in fitting}
    origin = origin_of(each for each in annotations if each.incident_id in studied)
    corpus = Corpus("the service's incidents", taxonomy, tuple(fitting), origin, tuple(annotations), tuple(notes))
    return Loaded(corpus, vectors)


class Studies:
    """Studies of a service's labelled incidents, one at a time: each occupies a core."""

    def __init__(
        self,
        store: Store,
        taxonomy: Taxonomy,
        roles: Roles,
        fingerprint: str = "",
        live: LiveAgreement | None = None,
        folders: EvalFolders = EvalFolders(),  # noqa: B008 - immutable
    ) -> None:
        self._store = store
        self._taxonomy = taxonomy
        self.roles = roles
        self._fingerprint = fingerprint
        self._live = live or LiveAgreement(store, taxonomy)
        self._folders = folders
        self._turn = asyncio.Lock()

    async def of(
        self,
        teams: Collection[str] | None = None,
        options: StudyOptions = StudyOptions(),  # noqa: B008 - immutable
        most: int = MOST,
    ) -> Study:
        """Study the incidents that these teams may see.

        None means all teams; only such a study has the adoption checklist, which is about the whole installation.
        """
        async with self._turn:
            loaded = await stored_corpus(
                self._store, self._taxonomy, teams=teams, fingerprint=self._fingerprint, most=most
            )
            checklist = await self.checklist() if teams is None else None
            return await asyncio.to_thread(make_study, loaded.corpus, self.roles, options, loaded.vectors, checklist)

    async def checklist(self) -> Checklist:
        """Measure the adoption checklist now, over all teams."""
        now = datetime.now(UTC)
        return await measure_checklist(self._store, self._taxonomy, self._live, self.roles, self._folders, now)


def _records(records: Iterable[tuple[Incident, Labels]]) -> tuple[Record, ...]:
    return tuple(Record(*record) for record in records)


async def _newest(store: Store, teams: Collection[str] | None, most: int) -> tuple[list[Record], int]:
    """The incidents that began last, and the number of all. Incidents without a start count as oldest."""
    newest: list[Record] = []
    n = 0
    async for portion in store.gold.incident_pages(teams):
        n += len(portion)
        newest += _records(portion)
        if len(newest) > 2 * most:
            newest = _last(newest, most)
    return _last(newest, most), n


def _last(records: list[Record], most: int) -> list[Record]:
    if len(records) <= most:
        return records
    began = sorted(
        records, key=lambda r: r.incident.started_at.timestamp() if r.incident.started_at else -1e12, reverse=True
    )
    return sorted(began[:most], key=lambda record: record.id)


def _fitting(records: Iterable[Record], taxonomy: Taxonomy) -> tuple[list[Record], int]:
    """The records with the labels that the taxonomy has, and the number of other labels."""
    known = {facet.id: set(facet.ids) for facet in taxonomy.facets}
    fitting, unknown = [], 0
    for record in records:
        labels = {
            facet: tuple(label for label in given if label in known.get(facet, set()))
            for facet, given in record.labels.items()
        }
        unknown += sum(map(len, record.labels.values())) - sum(map(len, labels.values()))
        fitting.append(record._replace(labels={facet: given for facet, given in labels.items() if given}))
    return fitting, unknown


async def _annotations(store: Store, incident_ids: Collection[str], taxonomy: Taxonomy) -> list[Annotation]:
    """All annotations of these incidents for facets of the taxonomy, oldest first."""
    known = {facet.id for facet in taxonomy.facets}
    by_incident = await store.annotations.list_many(sorted(incident_ids))
    return sorted(
        (annotation for annotations in by_incident.values() for annotation in annotations if annotation.facet in known),
        key=lambda annotation: annotation.id or 0,
    )
