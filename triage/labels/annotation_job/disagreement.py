"""Where annotators agree and disagree, and what has been settled. Pure functions on annotations.

Two annotations agree if their labels are equal: the primary labels of a facet with a primary one, all labels of a facet
with many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from pydantic import BaseModel

from triage.domain.annotation import NOT_TOLD, Annotation, Labels, standing
from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Facet, Taxonomy


class Disagreement(BaseModel, frozen=True):
    """Differing annotations of one facet of one incident that nobody has settled.

    `settled` is an earlier adjudication that someone has contradicted since.
    """

    incident_id: str
    facet: str
    annotations: tuple[Annotation, ...]
    settled: Annotation | None = None


class Agreed(NamedTuple):
    """A facet on which several people agree and that no adjudication has made gold.

    `labels` are those that all of them gave, the primary one first.
    """

    incident_id: str
    facet: str
    labels: tuple[str, ...]
    annotations: tuple[Annotation, ...]


class Verdict(BaseModel, frozen=True):
    """An adjudication with the annotations that it settled, oldest first."""

    adjudication: Annotation
    settled: tuple[Annotation, ...]

    @property
    def was_agreed(self) -> bool:
        """True if it only confirms what everyone had labelled."""
        return len({each.labels[:1] for each in (self.adjudication, *self.settled)}) == 1


def opinions(annotations: Iterable[Annotation]) -> list[Annotation]:
    """People's own labels: the latest of each person and facet, without adjudications and models."""
    return [each for each in standing(annotations) if each.origin == "human" and not each.is_adjudication]


def compared_labels(facet: Facet, labels: Sequence[str]) -> str:
    """The text on which agreement is measured: the primary label, or all labels of a facet with many."""
    if not labels:
        return NOT_TOLD
    return "+".join(sorted(labels)) if facet.cardinality == "multi" else labels[0]


def disagreements(annotations: Sequence[Annotation], taxonomy: Taxonomy) -> list[Disagreement]:
    """The open disagreements in one incident's annotations (oldest first), in the taxonomy's order."""
    results = []
    for facet, annotated in _by_facet(annotations, taxonomy):
        verdict = verdict_on(facet.id, annotations)
        parent_verdict = verdict_on(facet.parent, annotations) if facet.parent else None
        if parent_verdict is not None and not facet.children(parent_verdict.labels):
            # The settled parent label has no children.
            continue
        fresh = annotated if verdict is None else [each for each in annotated if each.id not in verdict.settles]
        # A later, different label reopens a settled facet.
        against = annotated if verdict is None else [verdict, *fresh]
        if fresh and len({compared_labels(facet, each.labels) for each in against}) > 1:
            results.append(
                Disagreement(
                    incident_id=annotated[0].incident_id, facet=facet.id, annotations=tuple(annotated), settled=verdict
                )
            )
    return results


def against_model(annotations: Sequence[Annotation], triaged: Labels, taxonomy: Taxonomy) -> list[str]:
    """The facets of one incident on which a person and the model differ, in the taxonomy's order.

    `triaged` are the model's labels; an abstention (no labels) contradicts nobody. A person's gold label settles its
    facet.
    """
    settled = {each.facet for each in standing(annotations) if each.is_gold and each.origin == "human"}
    people = opinions(annotations)
    return [
        facet.id
        for facet in taxonomy.facets
        if facet.id not in settled
        and (labels := triaged.get(facet.id))
        and any(
            compared_labels(facet, each.labels) != compared_labels(facet, labels)
            for each in people
            if each.facet == facet.id
        )
    ]


def agreed(annotations: Sequence[Annotation], taxonomy: Taxonomy) -> list[Agreed]:
    """The unsettled facets of one incident on which at least two people agree, parents first."""
    results = []
    for facet, annotated in _by_facet(annotations, taxonomy):
        if (
            verdict_on(facet.id, annotations) is None
            and len({compared_labels(facet, each.labels) for each in annotated}) == 1
        ):
            common = tuple(label for label in annotated[0].labels if all(label in each.labels for each in annotated))
            results.append(Agreed(annotated[0].incident_id, facet.id, common, tuple(annotated)))
    return results


def verdict_on(facet_id: str, annotations: Iterable[Annotation]) -> Annotation | None:
    """The latest adjudication of a facet, or None."""
    verdicts = [each for each in annotations if each.facet == facet_id and each.is_adjudication]
    return verdicts[-1] if verdicts else None


def verdicts(annotations: Sequence[Annotation]) -> list[Verdict]:
    """Every adjudication of one incident, oldest first, with the annotations that it settled."""
    by_id = {each.id: each for each in annotations}
    return [
        Verdict(adjudication=each, settled=tuple(by_id[n] for n in each.settles if n in by_id))
        for each in annotations
        if each.is_adjudication
    ]


def parent_labels(facet: Facet, annotations: Sequence[Annotation], taxonomy: Taxonomy) -> tuple[str, ...] | None:
    """The settled or agreed labels of the facet's parent facet, or None if there are none.

    Raises `InvalidInput` while people disagree on the parent facet.
    """
    if facet.parent is None:
        return None
    if (verdict := verdict_on(facet.parent, annotations)) is not None:
        return verdict.labels
    for item in agreed(annotations, taxonomy):
        if item.facet == facet.parent:
            return item.labels
    if any(item.facet == facet.parent for item in disagreements(annotations, taxonomy)):
        raise InvalidInput(
            f"Settle {facet.parent!r} first: labels of {facet.id!r} depend on it.", field="facet", facet=facet.id
        )
    return None


def _by_facet(annotations: Sequence[Annotation], taxonomy: Taxonomy) -> list[tuple[Facet, list[Annotation]]]:
    """The facets that at least two people labelled, with their annotations."""
    ordered = sorted(opinions(annotations), key=lambda each: each.facet)
    by_facet = {facet_id: list(group) for facet_id, group in groupby(ordered, key=lambda each: each.facet)}
    return [(facet, by_facet[facet.id]) for facet in taxonomy.facets if len(by_facet.get(facet.id, ())) > 1]
