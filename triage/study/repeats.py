"""Repeat offenders: groups of incidents that are nearly the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from triage.history.duplicates import DuplicateFinder
from triage.study.corpus import Corpus, Record, counted, ids

SIMILARITY = 0.85
_ROWS = 512


class Repeat(BaseModel, frozen=True):
    """Incidents, first begun first, each linked to another one of the group. `labels` are those that most carry."""

    incident_ids: tuple[str, ...]
    titles: tuple[str, ...]
    labels: dict[str, str]
    first: str | None
    last: str | None
    lowest_similarity: float | None


class Repeats(BaseModel, frozen=True):
    """`similarity` is the cosine from which on two incidents are linked; None where only their words were compared."""

    similarity: float | None
    groups: tuple[Repeat, ...]
    n: int


def find_repeats(
    corpus: Corpus, vectors: Mapping[str, NDArray[np.float32]] | None = None, similarity: float = SIMILARITY
) -> Repeats:
    """Groups of incidents linked by near-duplicate texts, or by embeddings at least as similar as `similarity`.

    `vectors` are the embeddings (incident id -> unit vector); incidents without one are compared by words alone. Links
    chain: two of a group may be less alike than each is to a third.
    """
    records = corpus.records
    linked = list(_by_words(records))
    if vectors:
        linked += _by_meaning(records, vectors, similarity)
    groups = [[records[place] for place in group] for group in _joined(len(records), linked)]
    told = [_repeat(corpus, group, vectors or {}) for group in groups]
    return Repeats(
        similarity=similarity if vectors else None,
        groups=tuple(sorted(told, key=lambda group: (-len(group.incident_ids), group.incident_ids))),
        n=len(records),
    )


def _by_words(records: Sequence[Record]) -> Iterator[tuple[int, int]]:
    texts = [record.incident.text for record in records]
    finder = DuplicateFinder(texts)
    for place, text in enumerate(texts):
        yield from ((place, other) for other in finder.of(text) if other > place)


def _by_meaning(
    records: Sequence[Record], vectors: Mapping[str, NDArray[np.float32]], similarity: float
) -> Iterator[tuple[int, int]]:
    places = [place for place, record in enumerate(records) if record.id in vectors]
    if not places:
        return
    matrix = np.stack([vectors[records[place].id] for place in places])
    for start in range(0, len(places), _ROWS):
        alike = matrix[start : start + _ROWS] @ matrix.T >= similarity
        for row, column in np.argwhere(alike).tolist():
            if column > start + row:
                yield places[start + row], places[column]


def _joined(n: int, links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The places that links join, directly or through others; those without a link are left out."""
    head = list(range(n))

    def find(place: int) -> int:
        while head[place] != place:
            head[place] = head[head[place]]
            place = head[place]
        return place

    for one, other in links:
        head[max(find(one), find(other))] = min(find(one), find(other))
    groups: dict[int, list[int]] = {}
    for place in range(n):
        groups.setdefault(find(place), []).append(place)
    return [group for group in groups.values() if len(group) > 1]


def _repeat(corpus: Corpus, group: Sequence[Record], vectors: Mapping[str, NDArray[np.float32]]) -> Repeat:
    ordered = sorted(group, key=lambda record: (_day(record) or "", record.id))
    days = [day for record in ordered if (day := _day(record))]
    labels: dict[str, str] = {}
    for facet in corpus.taxonomy.facets:
        given = [label for record in ordered for label in counted(facet, record.labels)]
        common = max(given, key=given.count, default=None)
        if common is not None and given.count(common) * 2 > len(ordered):
            labels[facet.id] = common
    known = [vectors[record.id] for record in ordered if record.id in vectors]
    matrix = np.stack(known) if len(known) > 1 else None
    return Repeat(
        incident_ids=ids(ordered),
        titles=tuple(record.incident.title for record in ordered),
        labels=labels,
        first=days[0] if days else None,
        last=days[-1] if days else None,
        lowest_similarity=None if matrix is None else float((matrix @ matrix.T).min()),
    )


def _day(record: Record) -> str | None:
    started = record.incident.started_at
    return None if started is None else started.date().isoformat()
