"""Confirming what the model says, of several incidents at once: its labels become those of a person, who saw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triage.domain.errors import TriageError
from triage.history.casebook import Casebook
from triage.labels.annotation_job.draft import Corrections
from triage.labels.annotation_job.labelling import Labelling, own
from triage.store import Store


class Confirmed(NamedTuple):
    """How many labels of how many incidents were confirmed, and for each other incident why it was left out."""

    incidents: int
    labels: int
    left_out: dict[str, str]


async def confirm(
    casebook: Casebook, store: Store, incident_ids: Sequence[str], annotator: str, *, is_gold: bool = False
) -> Confirmed:
    """Keep the labels of the latest triages as the annotator's own, with `saw_model`; each incident by itself.

    Facets that the annotator has labelled stay as they are. Left out is what they have still to label without seeing
    the model's labels, and what has no label to confirm. With `is_gold` the incidents join the history.
    """
    ids = list(dict.fromkeys(incident_ids))
    blind = await Labelling(store, casebook.taxonomy).waiting(annotator, ids, blind=True)
    labels, left_out = 0, dict[str, str]()
    for incident_id in ids:
        if incident_id in blind:
            left_out[incident_id] = "you have still to label it without seeing the model's labels"
            continue
        try:
            given = await _confirmed(casebook, store, incident_id, annotator, is_gold=is_gold)
        except TriageError as error:
            left_out[incident_id] = error.detail
            continue
        labels += given
        if not given:
            left_out[incident_id] = "it has no label of the model that you could confirm"
    return Confirmed(len(ids) - len(left_out), labels, left_out)


async def _confirmed(casebook: Casebook, store: Store, incident_id: str, annotator: str, *, is_gold: bool) -> int:
    """How many labels were kept."""
    triage = await store.triages.find(incident_id)
    mine = own(await store.annotations.list(incident_id), annotator)
    said = {} if triage is None else triage.facets
    labels = {facet: result.labels for facet, result in said.items() if result.labels and facet not in mine}
    return (
        len(await Corrections(casebook, store).give(incident_id, labels, annotator, is_gold=is_gold)) if labels else 0
    )
