"""Where annotators agree, where they don't, and what has been settled: pure functions on annotations.

Two labels of a facet agree if they are the same; of a facet with a primary label the primary ones, of one with any
number of labels all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from pydantic import BaseModel

from triage.domain.annotation import Annotation, Labels, standing
from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Facet, Taxonomy


class Disagreement(BaseModel, frozen=True):
    """What several people said of one facet of one incident, where they don't agree and nobody has settled it.

    `settled` is an earlier adjudication that someone has contradicted since.
    """

    incident_id: str
    facet: str
    annotations: tuple[Annotation, ...]
    settled: Annotation | None = None


class Agreed(NamedTuple):
    """A facet of an incident on which several people agree and that is not gold by an adjudication yet.

    `labels` are those that all of them gave, the primary first.
    """

    incident_id: str
    facet: str
    labels: tuple[str, ...]
    annotations: tuple[Annotation, ...]


class Verdict(BaseModel, frozen=True):
    """An adjudication with the annotations that it was made from, in the order in which they were given."""

    adjudication: Annotation
    settled: tuple[Annotation, ...]

    @property
    def was_agreed(self) -> bool:
        """True if it only confirms what all had said."""
        return len({each.labels[:1] for each in (self.adjudication, *self.settled)}) == 1


def opinions(annotations: Iterable[Annotation]) -> list[Annotation]:
    """What people say themselves: each one's latest label of each facet, without adjudications and models."""
    return [each for each in standing(annotations) if each.origin == "human" and not each.is_adjudication]


def counted(facet: Facet, labels: Sequence[str]) -> str:
    """What agreement is counted on: the one or primary label, or all labels of a facet with any number."""
    return "+".join(sorted(labels)) if facet.cardinality == "multi" else labels[0]


def disagreements(annotations: Sequence[Annotation], taxonomy: Taxonomy) -> list[Disagreement]:
    """The open disagreements in one incident's annotations (oldest first), in the taxonomy's order."""
    found = []
    for facet, said in _by_facet(annotations, taxonomy):
        verdict = verdict_on(facet.id, annotations)
        above = verdict_on(facet.parent, annotations) if facet.parent else None
        if above is not None and not facet.children(above.labels):
            # Nothing refines the parent label that was settled.
            continue
        fresh = said if verdict is None else [each for each in said if each.id not in verdict.settles]
        # A settled facet is open again when someone comes to say something else.
        against = said if verdict is None else [verdict, *fresh]
        if fresh and len({counted(facet, each.labels) for each in against}) > 1:
            found.append(
                Disagreement(incident_id=said[0].incident_id, facet=facet.id, annotations=tuple(said), settled=verdict)
            )
    return found


def against_model(annotations: Sequence[Annotation], triaged: Labels, taxonomy: Taxonomy) -> list[str]:
    """The facets of one incident of which a person and the model say something else, in the taxonomy's order.

    `triaged` are the model's labels, empty where it abstains, which contradicts nobody. A person's gold label, theirs
    alone or an adjudication, settles its facet.
    """
    settled = {each.facet for each in standing(annotations) if each.is_gold and each.origin == "human"}
    said = opinions(annotations)
    return [
        facet.id
        for facet in taxonomy.facets
        if facet.id not in settled
        and (labels := triaged.get(facet.id))
        and any(counted(facet, each.labels) != counted(facet, labels) for each in said if each.facet == facet.id)
    ]


def agreed(annotations: Sequence[Annotation], taxonomy: Taxonomy) -> list[Agreed]:
    """The facets of one incident on which at least two people agree and that are not settled, parents first."""
    found = []
    for facet, said in _by_facet(annotations, taxonomy):
        if verdict_on(facet.id, annotations) is None and len({counted(facet, each.labels) for each in said}) == 1:
            common = tuple(label for label in said[0].labels if all(label in each.labels for each in said))
            found.append(Agreed(said[0].incident_id, facet.id, common, tuple(said)))
    return found


def verdict_on(facet_id: str, annotations: Iterable[Annotation]) -> Annotation | None:
    """The adjudication of a facet that stands; the latest, whoever made it."""
    verdicts = [each for each in annotations if each.facet == facet_id and each.is_adjudication]
    return verdicts[-1] if verdicts else None


def verdicts(annotations: Sequence[Annotation]) -> list[Verdict]:
    """Every adjudication of one incident, oldest first, with what it was made from."""
    by_id = {each.id: each for each in annotations}
    return [
        Verdict(adjudication=each, settled=tuple(by_id[n] for n in each.settles if n in by_id))
        for each in annotations
        if each.is_adjudication
    ]


def parent_labels(facet: Facet, annotations: Sequence[Annotation], taxonomy: Taxonomy) -> tuple[str, ...] | None:
    """The labels of the facet that this one refines: settled, or else what all say of it. None where it has none.

    Raises `InvalidInput` while people disagree on it.
    """
    if facet.parent is None:
        return None
    if (verdict := verdict_on(facet.parent, annotations)) is not None:
        return verdict.labels
    for one in agreed(annotations, taxonomy):
        if one.facet == facet.parent:
            return one.labels
    if any(one.facet == facet.parent for one in disagreements(annotations, taxonomy)):
        raise InvalidInput(
            f"Settle {facet.parent!r} first: a label of {facet.id!r} belongs under one of it.",
            field="facet",
            facet=facet.id,
        )
    return None


def _by_facet(annotations: Sequence[Annotation], taxonomy: Taxonomy) -> list[tuple[Facet, list[Annotation]]]:
    """The facets of which at least two people said something, and what."""
    said = sorted(opinions(annotations), key=lambda each: each.facet)
    by_facet = {facet_id: list(group) for facet_id, group in groupby(said, key=lambda each: each.facet)}
    return [(facet, by_facet[facet.id]) for facet in taxonomy.facets if len(by_facet.get(facet.id, ())) > 1]
