"""Confirming and correcting the labels of a triage, for one incident or for several at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from triage.domain.annotation import NOT_TOLD, Annotation, Labels
from triage.domain.errors import InvalidInput, TriageError
from triage.domain.taxonomy import Facet, Taxonomy
from triage.history.casebook import Casebook
from triage.labels.annotation_job.labelling import Labelling, labels_of
from triage.store import Store, TriageRun


class Draft(NamedTuple):
    """The labels of an incident before they are saved: those `shown` and those `chosen`. Facets without a label are
    left out; one with no labels is not told.
    """

    shown: Labels
    chosen: Labels

    @classmethod
    def of(cls, taxonomy: Taxonomy, shown: Mapping[str, Sequence[str]]) -> Draft:
        """A draft that confirms the shown labels, as far as the taxonomy still has them."""
        known = {
            facet.id: labels
            for facet in taxonomy.facets
            if facet.id in shown
            and ((labels := tuple(label for label in shown[facet.id] if label in facet.ids)) or not shown[facet.id])
        }
        return cls(known, known)

    @property
    def corrected(self) -> Labels:
        """The chosen labels that differ from the shown ones."""
        return {facet: labels for facet, labels in self.chosen.items() if labels != self.shown.get(facet)}

    @property
    def confirmed(self) -> Labels:
        """The chosen labels that are the shown ones."""
        return {facet: labels for facet, labels in self.chosen.items() if labels == self.shown.get(facet)}

    def choose(self, taxonomy: Taxonomy, facet_id: str, labels: Sequence[str]) -> Draft:
        """The draft with these labels of a facet, the primary one first; no labels removes the facet.

        Choosing a child label also chooses its parent, and a new parent removes child labels that no longer fit. Raises
        `UnknownFacet` or `UnknownLabel`.
        """
        facet = taxonomy.facet(facet_id)
        chosen = dict(self.chosen)
        _put(chosen, facet, [facet.label(label).id for label in labels])
        _add_parents(taxonomy, chosen, facet)
        _remove_misfits(taxonomy, chosen)
        return self._replace(chosen=chosen)

    def pick(self, taxonomy: Taxonomy, facet_id: str, label: str) -> Draft:
        """The draft with this label chosen; in a facet with many labels, added to those chosen before.

        `NOT_TOLD` is chosen for the facets below too.
        """
        if label == NOT_TOLD:
            untold = (facet_id, *(facet.id for facet in taxonomy.refining(facet_id)))
            return self._replace(chosen=self.chosen | dict.fromkeys(untold, ()))
        if taxonomy.facet(facet_id).cardinality == "multi":
            return self.toggle(taxonomy, facet_id, label)
        return self.choose(taxonomy, facet_id, (label,))

    def toggle(self, taxonomy: Taxonomy, facet_id: str, label: str) -> Draft:
        """The draft with this label added, or removed if it was chosen.

        A label for "not disclosed" and any other label exclude each other.
        """
        facet = taxonomy.facet(facet_id)
        picked = facet.label(label)
        chosen = self.chosen.get(facet_id, ())
        if picked.id in chosen:
            return self.choose(taxonomy, facet_id, [label_id for label_id in chosen if label_id != picked.id])
        compatible = [label_id for label_id in chosen if facet.label(label_id).undisclosed == picked.undisclosed]
        return self.choose(taxonomy, facet_id, [*([] if facet.cardinality == "single" else compatible), picked.id])


class Corrections:
    """Saves labels of people who see the labels of the triage."""

    def __init__(self, casebook: Casebook, store: Store) -> None:
        self._casebook = casebook
        self._store = store

    async def show(self, incident_id: str, annotator: str) -> None:
        """Record that the annotator saw the triage: from now on their labels are not blind."""
        await self._store.assignments.record_serving(incident_id, annotator, showed_model=True)

    async def give(
        self,
        incident_id: str,
        labels: Labels,
        annotator: str,
        *,
        shown: TriageRun | None = None,
        is_gold: bool = False,
        note: str = "",
    ) -> list[Annotation]:
        """Save a person's labels, confirmed or corrected, all or none, and return the stored annotations.

        Labels that the `shown` triage gave are stored as confirmations of it. Raises `NotFound`, `UnknownLabel`, and
        `InvalidInput` for no labels or for labels that contradict each other.
        """
        if not labels:
            raise InvalidInput("There is no label to save. Choose one first.", field="labels")
        if await self._store.triages.find_document(incident_id) is not None:
            await self.show(incident_id, annotator)
        now = datetime.now(UTC)
        annotations = [
            Annotation(
                incident_id=incident_id,
                facet=facet,
                labels=ids,
                annotator=annotator,
                is_gold=is_gold,
                note=note,
                created_at=now,
                confirms=shown.run_id if shown is not None and ids and ids == _given(shown).get(facet) else None,
            )
            for facet, ids in labels.items()
        ]
        return await self._casebook.annotate(incident_id, annotations)


def check_given(taxonomy: Taxonomy, confirmed: Labels, given: Mapping[str, Sequence[str]]) -> None:
    """Raise `InvalidInput` if a confirmed label is not one that the triage or a person gave: then nobody can have been
    shown it."""
    names = [taxonomy.facet(facet).name for facet, labels in confirmed.items() if labels != given.get(facet)]
    if names:
        raise InvalidInput(
            f"There is nothing to confirm in {', '.join(names)}: the triage abstains there, or its label has changed. "
            "Load the page anew; then choose a label there, or save only the others.",
            field="labels",
        )


def _given(run: TriageRun) -> Labels:
    return {facet: result.labels for facet, result in run.triage.facets.items() if result.labels}


def _put(chosen: Labels, facet: Facet, labels: Sequence[str]) -> None:
    if labels:
        chosen[facet.id] = tuple(dict.fromkeys(labels))
    else:
        chosen.pop(facet.id, None)


def _add_parents(taxonomy: Taxonomy, chosen: Labels, facet: Facet) -> None:
    if facet.parent is None or facet.id not in chosen:
        return
    parent = taxonomy.facet(facet.parent)
    needed = [above for label in chosen[facet.id] if (above := facet.label(label).parent)]
    if not set(needed) <= set(chosen.get(parent.id, ())):
        _put(chosen, parent, needed[:1] if parent.cardinality == "single" else needed)
        _add_parents(taxonomy, chosen, parent)


def _remove_misfits(taxonomy: Taxonomy, chosen: Labels) -> None:
    # The taxonomy lists a facet after its parent.
    for facet in taxonomy.facets:
        if facet.parent in chosen and facet.id in chosen:
            fitting = {label.id for label in facet.children(chosen[facet.parent])}
            _put(chosen, facet, [label for label in chosen[facet.id] if label in fitting])


class Confirmed(NamedTuple):
    """Counts of confirmed labels and their incidents, the reason for each incident left out, and the facets of each
    confirmed one on which the triage abstains."""

    incidents: int
    labels: int
    left_out: dict[str, str]
    abstained: dict[str, tuple[str, ...]]


async def confirm(
    casebook: Casebook,
    store: Store,
    incident_ids: Sequence[str],
    annotator: str,
    *,
    shown: Collection[str],
    is_gold: bool = False,
) -> Confirmed:
    """Save the labels of the latest triages as the annotator's own, marked `saw_model`, incident by incident.

    Facets that the annotator has labelled keep their labels. Incidents that the annotator still has to label blind,
    that have no label to confirm, or whose latest run is not among the `shown` ones, are left out. With `is_gold` the
    incidents join the history.
    """
    ids = list(dict.fromkeys(incident_ids))
    blind = await Labelling(store, casebook.taxonomy).waiting(annotator, ids, blind=True)
    corrections = Corrections(casebook, store)
    labels, left_out, abstained = 0, dict[str, str](), dict[str, tuple[str, ...]]()
    for incident_id in ids:
        if incident_id in blind:
            left_out[incident_id] = "you still have to label it without seeing the model's labels"
            continue
        try:
            run = next(iter(await store.triages.list(incident_id, 1)), None)
            if run is None:
                left_out[incident_id] = "it is not triaged yet"
                continue
            if run.run_id not in shown:
                left_out[incident_id] = "it was triaged again since: look at its labels first"
                continue
            mine = labels_of(await store.annotations.list(incident_id), annotator)
            own = {facet: ids for facet, ids in _given(run).items() if facet not in mine}
            missing = tuple(facet for facet, result in run.triage.facets.items() if not result.labels)
            if own:
                given = await corrections.give(incident_id, own, annotator, shown=run, is_gold=is_gold)
                labels += len(given)
                abstained |= {incident_id: missing} if missing else {}
            else:
                left_out[incident_id] = _nothing_to_confirm(missing)
        except TriageError as error:
            left_out[incident_id] = error.detail
    return Confirmed(len(ids) - len(left_out), labels, left_out, abstained)


def _nothing_to_confirm(abstained: Sequence[str]) -> str:
    if not abstained:
        return "you have labelled all of it"
    return f"the triage abstains on {', '.join(abstained)}: open it and choose the labels"
