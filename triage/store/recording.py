"""One recording: annotations, the incidents that are imported with them, and vectors, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.models.embedding import Vectors
from triage.store.changes import Changes
from triage.store.incidents import hold, take_over
from triage.store.index_marks import write_marks
from triage.store.notifications import notify_of_corrections
from triage.store.records import Labelled
from triage.store.standing import keep, latest, of_facet, says_the_same, speaker, still, witnessed
from triage.store.vectors import keep_vector


class Recorded(NamedTuple):
    """What stands now in place of what was given, the marks for the index (incident id -> `seq`), and whether anyone
    is to be notified."""

    kept: list[Annotation]
    marks: dict[str, int]
    is_told: bool


async def record(
    connection: AsyncConnection,
    annotated: Sequence[Annotation],
    *,
    imported: Mapping[str, Incident],
    taxonomy: str,
    fingerprint: str,
    embedded: Mapping[str, Vectors],
    is_given_here: bool,
    team: str,
    expected: Labelled | None,
) -> Recorded:
    """See `Store.record`."""
    changed = set(imported)
    if expected is not None:
        await still(connection, annotated[0].incident_id, expected)
    for incident in imported.values():
        await take_over(connection, incident, taxonomy, team)
    await hold(connection, {a.incident_id for a in annotated} | set(embedded))
    for incident_id, vector in embedded.items():
        await keep_vector(connection, incident_id, fingerprint, vector)
    standing = await latest(connection, {annotation.incident_id for annotation in annotated})
    changes = Changes(standing.values(), imported, is_given_here=is_given_here)
    gold_by = {of_facet(a): speaker(a) for a in standing.values() if a.is_gold}
    kept, new = [], []
    for given in annotated:
        annotation = await witnessed(connection, given) if is_given_here else given
        before = standing.get((*of_facet(annotation), *speaker(annotation)))
        is_repeat = before is not None and says_the_same(before, annotation)
        is_replaced = annotation.is_gold and gold_by.get(of_facet(annotation)) != speaker(annotation)
        if before is None or not is_repeat or (is_replaced and annotation.origin == "human"):
            if annotation.is_gold or of_facet(annotation) in gold_by:
                changed.add(annotation.incident_id)
            changes.note(before, annotation)
            before = await keep(connection, annotation)
            new.append(before)
            standing[*of_facet(annotation), *speaker(annotation)] = before
            if annotation.is_gold:
                gold_by[of_facet(annotation)] = speaker(annotation)
        kept.append(before)
    marks = await write_marks(connection, changed)
    await changes.write(connection)
    is_told = is_given_here and await notify_of_corrections(connection, new)
    return Recorded(kept, marks, is_told)
