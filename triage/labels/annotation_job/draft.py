"""Confirming or correcting what the triage of an incident shows, facet by facet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from triage.domain.annotation import Annotation, Labels
from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Facet, Taxonomy
from triage.history.casebook import Casebook
from triage.store import Store


class Draft(NamedTuple):
    """The labels of an incident before they are given: those that were `shown`, and those `chosen` by now.

    Facets without a label are in neither.
    """

    shown: Labels
    chosen: Labels

    @classmethod
    def of(cls, taxonomy: Taxonomy, shown: Mapping[str, Sequence[str]]) -> Draft:
        """The draft that confirms what is shown, as far as the taxonomy (still) has it."""
        known = {
            facet.id: labels
            for facet in taxonomy.facets
            if (labels := tuple(label for label in shown.get(facet.id, ()) if label in facet.ids))
        }
        return cls(known, known)

    @property
    def corrected(self) -> Labels:
        """What was chosen otherwise than it was shown."""
        return {facet: labels for facet, labels in self.chosen.items() if labels != self.shown.get(facet)}

    def choose(self, taxonomy: Taxonomy, facet_id: str, labels: Sequence[str]) -> Draft:
        """The draft with these labels of a facet, the primary first; without any the facet is left out.

        A refining label brings along the one that it belongs under, and under a new parent label those that no longer
        fit are taken out. Raises `UnknownFacet` or `UnknownLabel`.
        """
        facet = taxonomy.facet(facet_id)
        chosen = dict(self.chosen)
        _put(chosen, facet, [facet.label(label).id for label in labels])
        _bring_parents(taxonomy, chosen, facet)
        _take_out_misfits(taxonomy, chosen)
        return self._replace(chosen=chosen)

    def pick(self, taxonomy: Taxonomy, facet_id: str, label: str) -> Draft:
        """The draft with this label as the answer; in a facet that takes any number beside those chosen before."""
        if taxonomy.facet(facet_id).cardinality == "multi":
            return self.toggle(taxonomy, facet_id, label)
        return self.choose(taxonomy, facet_id, (label,))

    def toggle(self, taxonomy: Taxonomy, facet_id: str, label: str) -> Draft:
        """The draft with this label behind those chosen before, or without it where it is one of them.

        A label that says that nothing is told is never beside one that tells something.
        """
        facet = taxonomy.facet(facet_id)
        picked = facet.label(label)
        given = self.chosen.get(facet_id, ())
        if picked.id in given:
            return self.choose(taxonomy, facet_id, [one for one in given if one != picked.id])
        beside = [one for one in given if facet.label(one).undisclosed == picked.undisclosed]
        return self.choose(taxonomy, facet_id, [*([] if facet.cardinality == "single" else beside), picked.id])


class Corrections:
    """What people say of triaged incidents whose labels they have before them."""

    def __init__(self, casebook: Casebook, store: Store) -> None:
        self._casebook = casebook
        self._store = store

    async def show(self, incident_id: str, annotator: str) -> None:
        """Keep that the annotator was shown the triage: what they say from here on is not blind."""
        await self._store.assignments.record_serving(incident_id, annotator, showed_model=True)

    async def give(
        self, incident_id: str, labels: Labels, annotator: str, *, is_gold: bool = False, note: str = ""
    ) -> list[Annotation]:
        """Keep what a person says, confirmed or corrected, all or nothing; returns it as it stands now.

        Raises `NotFound`, `UnknownLabel`, or `InvalidInput` without labels and for gold ones that don't fit together.
        """
        if not labels:
            raise InvalidInput("There is no label to keep: choose one first.", field="labels")
        if await self._store.triages.find_document(incident_id) is not None:
            await self.show(incident_id, annotator)
        now = datetime.now(UTC)
        given = [
            Annotation(
                incident_id=incident_id,
                facet=facet,
                labels=ids,
                annotator=annotator,
                is_gold=is_gold,
                note=note,
                created_at=now,
            )
            for facet, ids in labels.items()
        ]
        return await self._casebook.annotate(incident_id, given)


def _put(chosen: Labels, facet: Facet, labels: Sequence[str]) -> None:
    if labels:
        chosen[facet.id] = tuple(dict.fromkeys(labels))
    else:
        chosen.pop(facet.id, None)


def _bring_parents(taxonomy: Taxonomy, chosen: Labels, facet: Facet) -> None:
    if facet.parent is None or facet.id not in chosen:
        return
    parent = taxonomy.facet(facet.parent)
    needed = [above for label in chosen[facet.id] if (above := facet.label(label).parent)]
    if not set(needed) <= set(chosen.get(parent.id, ())):
        _put(chosen, parent, needed[:1] if parent.cardinality == "single" else needed)
        _bring_parents(taxonomy, chosen, parent)


def _take_out_misfits(taxonomy: Taxonomy, chosen: Labels) -> None:
    # A facet stands behind the one that it refines.
    for facet in taxonomy.facets:
        if facet.parent in chosen and facet.id in chosen:
            fitting = {label.id for label in facet.children(chosen[facet.parent])}
            _put(chosen, facet, [label for label in chosen[facet.id] if label in fitting])
