"""Progress of the annotation job, and agreement between its annotators."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations

from pydantic import BaseModel

from triage.agreement import Kappa, cohen_kappa
from triage.domain.annotation import Annotation, Assignment
from triage.domain.taxonomy import Taxonomy
from triage.labels.annotation_job.disagreement import agreed, compared_labels, disagreements, opinions, verdict_on
from triage.labels.annotation_job.labelling import WorkItem, labels_of
from triage.store import Store


class AnnotatorStatus(BaseModel, frozen=True):
    """One annotator: incidents assigned and done, labels given, and labels given after seeing the model's."""

    annotator: str
    assigned: int
    done: int
    labels: int
    saw_model: int


class PairAgreement(BaseModel, frozen=True):
    """Cohen's kappa of two annotators on one facet, over the incidents that both labelled."""

    facet: str
    annotators: tuple[str, str]
    kappa: Kappa


class JobStatus(BaseModel, frozen=True):
    """The whole job. `labelled` counts incidents that anyone labelled, `overlap` those that at least two people
    labelled.

    The other counts are of facets of incidents: `open` disagreements, `unconfirmed` agreements that are not gold yet,
    and `settled` ones that an adjudication made gold.
    """

    annotators: tuple[AnnotatorStatus, ...]
    labelled: int
    overlap: int
    open: int
    unconfirmed: int
    settled: int
    agreement: tuple[PairAgreement, ...]


async def job_status(store: Store, taxonomy: Taxonomy, teams: Collection[str] | None = None) -> JobStatus:
    """The status of everything stored, or of the incidents of `teams`."""
    assignments = await store.assignments.list(teams=teams)
    labelled = await store.annotations.list_labelled(teams=teams)
    ids = {incident_id for _, incident_id in labelled} | {each.incident_id for each in assignments}
    annotations = await store.annotations.list_many(sorted(ids))
    return await asyncio.to_thread(summarise, assignments, annotations, taxonomy)


def summarise(
    assignments: Sequence[Assignment], annotations: Mapping[str, Sequence[Annotation]], taxonomy: Taxonomy
) -> JobStatus:
    """The status of these assignments and annotations (by incident, oldest first)."""
    people = {key: opinions(labels) for key, labels in annotations.items()}
    assigned = Counter(each.annotator for each in assignments)
    done: Counter[str] = Counter()
    for each in assignments:
        item = WorkItem(each, labels_of(annotations.get(each.incident_id, ()), each.annotator))
        done[each.annotator] += not item.open_facets(taxonomy)
    labels = Counter(each.annotator for labels in people.values() for each in labels)
    saw_model = Counter(each.annotator for labels in people.values() for each in labels if each.saw_model)
    return JobStatus(
        annotators=tuple(
            AnnotatorStatus(
                annotator=name, assigned=assigned[name], done=done[name], labels=labels[name], saw_model=saw_model[name]
            )
            for name in sorted({*assigned, *labels})
        ),
        labelled=sum(bool(labels) for labels in people.values()),
        overlap=sum(len({each.facet for each in labels}) < len(labels) for labels in people.values()),
        open=sum(len(disagreements(labels, taxonomy)) for labels in annotations.values()),
        unconfirmed=sum(len(agreed(labels, taxonomy)) for labels in annotations.values()),
        settled=sum(
            verdict_on(facet.id, labels) is not None for labels in annotations.values() for facet in taxonomy.facets
        ),
        agreement=tuple(_agreement(people, taxonomy)),
    )


def _agreement(people: Mapping[str, Sequence[Annotation]], taxonomy: Taxonomy) -> Iterator[PairAgreement]:
    for facet in taxonomy.facets:
        pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for key in sorted(people):
            of_facet = sorted((each for each in people[key] if each.facet == facet.id), key=lambda each: each.annotator)
            for first, second in combinations(of_facet, 2):
                words = compared_labels(facet, first.labels), compared_labels(facet, second.labels)
                pairs.setdefault((first.annotator, second.annotator), []).append(words)
        for names, both in sorted(pairs.items()):
            kappa = cohen_kappa([first for first, _ in both], [second for _, second in both])
            yield PairAgreement(facet=facet.id, annotators=names, kappa=kappa)
