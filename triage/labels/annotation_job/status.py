"""How far the annotation job is, and how well its annotators agree."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations

from pydantic import BaseModel

from triage.agreement import Kappa, cohen_kappa
from triage.domain.annotation import Annotation, Assignment
from triage.domain.taxonomy import Taxonomy
from triage.labels.annotation_job.disagreement import agreed, counted, disagreements, opinions, verdict_on
from triage.labels.annotation_job.labelling import Piece, own
from triage.store import Store


class AnnotatorStatus(BaseModel, frozen=True):
    """One annotator: incidents assigned to them and done, labels they gave, and how many after seeing the model's."""

    annotator: str
    assigned: int
    done: int
    labels: int
    saw_model: int


class PairAgreement(BaseModel, frozen=True):
    """Two annotators on one facet: kappa with the share of incidents on which they agree, by what both labelled."""

    facet: str
    annotators: tuple[str, str]
    kappa: Kappa


class JobStatus(BaseModel, frozen=True):
    """The whole job. `labelled` and `overlap` count incidents that anyone, and that at least two people, labelled.

    The others count facets of incidents: `open` are disagreements that nobody has settled, `unconfirmed` are agreed on
    and not made gold yet, `settled` are gold by an adjudication.
    """

    annotators: tuple[AnnotatorStatus, ...]
    labelled: int
    overlap: int
    open: int
    unconfirmed: int
    settled: int
    agreement: tuple[PairAgreement, ...]


async def job_status(store: Store, taxonomy: Taxonomy, teams: Collection[str] | None = None) -> JobStatus:
    """The status of all that is stored, or with `teams` of what is theirs."""
    assignments = await store.assignments.list(teams=teams)
    labelled = await store.annotations.list_labelled(teams=teams)
    ids = {incident_id for _, incident_id in labelled} | {each.incident_id for each in assignments}
    annotations = await store.annotations.list_many(sorted(ids))
    return await asyncio.to_thread(summarise, assignments, annotations, taxonomy)


def summarise(
    assignments: Sequence[Assignment], annotations: Mapping[str, Sequence[Annotation]], taxonomy: Taxonomy
) -> JobStatus:
    """The status of these assignments and annotations; the latter by incident, oldest first."""
    said = {key: opinions(given) for key, given in annotations.items()}
    assigned = Counter(each.annotator for each in assignments)
    done: Counter[str] = Counter()
    for each in assignments:
        piece = Piece(each, own(annotations.get(each.incident_id, ()), each.annotator))
        done[each.annotator] += not piece.open_facets(taxonomy)
    labels = Counter(each.annotator for given in said.values() for each in given)
    saw_model = Counter(each.annotator for given in said.values() for each in given if each.saw_model)
    return JobStatus(
        annotators=tuple(
            AnnotatorStatus(
                annotator=name, assigned=assigned[name], done=done[name], labels=labels[name], saw_model=saw_model[name]
            )
            for name in sorted({*assigned, *labels})
        ),
        labelled=sum(bool(given) for given in said.values()),
        overlap=sum(_has_overlap(given) for given in said.values()),
        open=sum(len(disagreements(given, taxonomy)) for given in annotations.values()),
        unconfirmed=sum(len(agreed(given, taxonomy)) for given in annotations.values()),
        settled=sum(
            verdict_on(facet.id, given) is not None for given in annotations.values() for facet in taxonomy.facets
        ),
        agreement=tuple(_agreement(said, taxonomy)),
    )


def _has_overlap(said: Sequence[Annotation]) -> bool:
    return any(count > 1 for count in Counter(each.facet for each in said).values())


def _agreement(said: Mapping[str, Sequence[Annotation]], taxonomy: Taxonomy) -> Iterator[PairAgreement]:
    for facet in taxonomy.facets:
        pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for key in sorted(said):
            of_facet = sorted((each for each in said[key] if each.facet == facet.id), key=lambda each: each.annotator)
            for one, other in combinations(of_facet, 2):
                words = counted(facet, one.labels), counted(facet, other.labels)
                pairs.setdefault((one.annotator, other.annotator), []).append(words)
        for names, both in sorted(pairs.items()):
            kappa = cohen_kappa([one for one, _ in both], [other for _, other in both])
            yield PairAgreement(facet=facet.id, annotators=names, kappa=kappa)
