"""Repeat offenders: groups of incidents that are nearly the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from triage.insights.study.corpus import Corpus, Record, counted, ids
from triage.insights.study.near_same import Alike, AlikeMeaning, AlikeWords, groups_of, lowest_similarity

SIMILARITY = 0.85


class Repeat(BaseModel, frozen=True):
    """`n` incidents, first begun first, all of which are nearly the same as `head`, whose `title` it is.

    `labels` are those that most of them carry; `lowest_similarity` is the smallest cosine of any two.
    """

    n: int
    head: str
    title: str
    labels: dict[str, str]
    first: str | None
    last: str | None
    lowest_similarity: float | None
    incident_ids: tuple[str, ...]


class Repeats(BaseModel, frozen=True):
    """The groups, largest first, and how many of the `n` incidents are in one.

    `similarity` is the cosine from which on two incidents are alike; None where only their words were compared.
    `n_compared_by_meaning` counts the incidents that had an embedding.
    """

    similarity: float | None
    n: int
    n_compared_by_meaning: int
    n_groups: int
    n_repeated: int
    groups: tuple[Repeat, ...]


def find_repeats(
    corpus: Corpus, vectors: Mapping[str, NDArray[np.float32]] | None = None, similarity: float = SIMILARITY
) -> Repeats:
    """Groups of incidents whose words are nearly the same, or whose embeddings are at least as similar as `similarity`.

    `vectors` are the embeddings (incident id -> unit vector); incidents without one are compared by words alone.
    """
    records, kinds = corpus.records, list[Alike]()
    kinds.append(AlikeWords([record.incident.text for record in records]))
    known = [place for place, record in enumerate(records) if record.id in (vectors or {})]
    if vectors and known:
        stacked = np.stack([vectors[records[place].id] for place in known])
        kinds.append(AlikeMeaning(len(records), known, stacked, similarity))
    groups = groups_of(len(records), kinds)
    told = [_repeat(corpus, [records[place] for place in group], vectors or {}) for group in groups]
    return Repeats(
        similarity=similarity if known else None,
        n=len(records),
        n_compared_by_meaning=len(known),
        n_groups=len(told),
        n_repeated=sum(group.n for group in told),
        groups=tuple(sorted(told, key=lambda group: (-group.n, group.incident_ids))),
    )


def _repeat(corpus: Corpus, group: Sequence[Record], vectors: Mapping[str, NDArray[np.float32]]) -> Repeat:
    ordered = sorted(group, key=lambda record: (_day(record) or "", record.id))
    days = [day for record in ordered if (day := _day(record))]
    labels: dict[str, str] = {}
    for facet in corpus.taxonomy.facets:
        given = Counter(label for record in ordered for label in counted(facet, record.labels))
        for label, times in given.most_common(1):
            if times * 2 > len(ordered):
                labels[facet.id] = label
    known = [vectors[record.id] for record in ordered if record.id in vectors]
    return Repeat(
        n=len(ordered),
        head=group[0].id,
        title=group[0].incident.title,
        labels=labels,
        first=days[0] if days else None,
        last=days[-1] if days else None,
        lowest_similarity=lowest_similarity(np.stack(known)) if len(known) > 1 else None,
        incident_ids=ids(ordered),
    )


def _day(record: Record) -> str | None:
    started = record.incident.started_at
    return None if started is None else started.date().isoformat()
