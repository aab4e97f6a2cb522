"""The worklist: incidents for people to review, by the reason to review them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from triage.domain.annotation import Annotation, Labels
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Triage
from triage.labels.annotation_job.disagreement import against_model, disagreements, opinions
from triage.labels.annotation_job.labelling import Labelling
from triage.store import Candidate, IncidentQuery, QueueName, Store
from triage.store.cursor import read_cursor, write_cursor

Kind = Literal["new", "abstained", "disagreed", "degraded", "untriaged"]
"""Why to review an incident. `abstained`: on a facet that nobody has labelled since. `disagreed`: not settled yet.
`untriaged`: its triage is pending or failed."""

SCANNED = 500
"""The most incidents scanned for a count or a page that the database can't answer by itself."""

COUNTED = 1_000
"""The most incidents counted by the database."""

_CHUNK = 100

_QUEUES: Mapping[Kind, QueueName] = {
    "new": "new",
    "abstained": "triaged",
    "disagreed": "labelled",
    "degraded": "degraded",
    "untriaged": "untriaged",
}


class Reasons(NamedTuple):
    """Why to review an incident; facets are in the taxonomy's order.

    `abstained` lists facets that nobody has labelled since, `between_people` and `against_model` unsettled
    disagreements.
    """

    is_new: bool
    is_degraded: bool
    abstained: tuple[str, ...]
    between_people: tuple[str, ...]
    against_model: tuple[str, ...]


class Item(NamedTuple):
    """An incident to review with its latest triage, if any.

    If `is_blind`, the annotator still has to label it without the model's labels, and `triage` is withheld.
    """

    candidate: Candidate
    reasons: Reasons
    triage: Triage | None
    is_blind: bool = False


class WorkPage(NamedTuple):
    """A page of incidents, newest first. `next_cursor` is None at the end.

    `scanned` counts the incidents looked through. If `is_cut_off`, the scan stopped early and more may follow the
    cursor.
    """

    items: tuple[Item, ...]
    next_cursor: str | None
    scanned: int
    is_cut_off: bool


class Count(NamedTuple):
    """A count, or a lower bound if `is_least` because the scan stopped early."""

    n: int
    is_least: bool


class TriageLabel(NamedTuple):
    """A filter: a label that the triage gave."""

    facet: str
    label: str


class Worklist:
    def __init__(self, store: Store, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._store = store
        self._facets = [facet.id for facet in taxonomy.facets if facet.triage]
        self._labelling = Labelling(store, taxonomy)

    async def page(
        self,
        kind: Kind,
        filters: IncidentQuery,
        *,
        label: TriageLabel | None = None,
        annotator: str = "",
        limit: int,
        cursor: str | None = None,
    ) -> WorkPage:
        """Incidents of a kind, newest first; with `label`, those whose latest triage gave that label.

        New incidents do not shift pages. Incidents that the `annotator` has to label blind come without their triage,
        and are left out if listing them would reveal it. Raises `InvalidInput` for an invalid cursor.
        """
        matches: list[Candidate] = []
        scanned, before, is_end = 0, None if cursor is None else read_cursor(cursor), False
        size = _CHUNK if _needs_scan(kind, label) else limit + 1
        while len(matches) <= limit and not is_end and scanned < SCANNED:
            chunk = await self._chunk(kind, filters, before, size)
            matches += await self._fitting(kind, label, chunk, annotator)
            scanned, is_end = scanned + len(chunk), len(chunk) < size
            before = chunk[-1].seq if chunk else before
        shown = matches[:limit]
        is_cut_off = not is_end and len(matches) <= limit
        last = shown[-1].seq if len(matches) > limit else before if is_cut_off else None
        return WorkPage(
            await self._items(shown, annotator), None if last is None else write_cursor(last), scanned, is_cut_off
        )

    async def count(
        self, kind: Kind, filters: IncidentQuery, label: TriageLabel | None = None, annotator: str = ""
    ) -> Count:
        """Count the incidents that `page` finds: among the newest `SCANNED`, or up to `COUNTED`."""
        if not _needs_scan(kind, label):
            n = await self._store.review_queues.count(_QUEUES[kind], filters, COUNTED + 1)
            return Count(min(n, COUNTED), is_least=n > COUNTED)
        n, scanned, before, is_end = 0, 0, None, False
        while not is_end and scanned < SCANNED:
            chunk = await self._chunk(kind, filters, before, _CHUNK)
            n += len(await self._fitting(kind, label, chunk, annotator))
            scanned, is_end = scanned + len(chunk), len(chunk) < _CHUNK
            before = chunk[-1].seq if chunk else before
        return Count(n, is_least=not is_end)

    async def _chunk(self, kind: Kind, filters: IncidentQuery, before: int | None, size: int) -> Sequence[Candidate]:
        facets = self._facets
        return await self._store.review_queues.list(_QUEUES[kind], filters, before=before, limit=size, facets=facets)

    async def _fitting(
        self, kind: Kind, label: TriageLabel | None, chunk: Sequence[Candidate], annotator: str
    ) -> list[Candidate]:
        if not _needs_scan(kind, label):
            return list(chunk)
        if label is not None:
            chunk = [candidate for candidate in chunk if label.label in candidate.labels.get(label.facet, ())]
        if kind == "abstained":
            chunk = [candidate for candidate in chunk if not all(candidate.labels.values())]
        # Listing a blind incident would reveal labels of the triage or of others.
        blind = await self._blind(annotator, chunk)
        chunk = [candidate for candidate in chunk if candidate.incident.id not in blind]
        if kind not in ("abstained", "disagreed"):
            return chunk
        annotations = await self._store.annotations.list_many([candidate.incident.id for candidate in chunk])
        matches = []
        for candidate in chunk:
            reasons = reasons_of(candidate, annotations[candidate.incident.id], self.taxonomy)
            if reasons.abstained if kind == "abstained" else reasons.between_people or reasons.against_model:
                matches.append(candidate)
        return matches

    async def _blind(self, annotator: str, chunk: Sequence[Candidate]) -> Collection[str]:
        if not annotator or not chunk:
            return ()
        return await self._labelling.waiting(annotator, [candidate.incident.id for candidate in chunk], blind=True)

    async def _items(self, shown: Sequence[Candidate], annotator: str) -> tuple[Item, ...]:
        ids = [candidate.incident.id for candidate in shown]
        annotations = await self._store.annotations.list_many(ids)
        blind = await self._blind(annotator, shown)
        open_ = [c.triage_id for c in shown if c.triage_id is not None and c.incident.id not in blind]
        documents = await self._store.triages.find_documents_by_id(open_)
        items = []
        for candidate in shown:
            document = documents.get(candidate.triage_id or 0)
            reasons = reasons_of(candidate, annotations[candidate.incident.id], self.taxonomy)
            triage = None if document is None else Triage.model_validate_json(document)
            items.append(Item(candidate, reasons, triage, is_blind=candidate.incident.id in blind))
        return tuple(items)


def reasons_of(candidate: Candidate, annotations: Sequence[Annotation], taxonomy: Taxonomy) -> Reasons:
    """Why to review an incident, by its latest triage and its annotations (oldest first)."""
    people = opinions(annotations)
    labelled = {each.facet for each in annotations if each.origin == "human"}
    # A degraded triage has no labels of the model.
    triaged: Labels = {} if candidate.is_degraded else candidate.labels
    return Reasons(
        is_new=candidate.incident.status == "triaged" and not labelled,
        is_degraded=candidate.is_degraded,
        abstained=tuple(
            facet.id for facet in taxonomy.facets if candidate.labels.get(facet.id) == () and facet.id not in labelled
        ),
        between_people=tuple(each.facet for each in disagreements(annotations, taxonomy)) if len(people) > 1 else (),
        against_model=tuple(against_model(annotations, triaged, taxonomy)),
    )


def _needs_scan(kind: Kind, label: TriageLabel | None) -> bool:
    """True if the database can't answer by itself."""
    return label is not None or kind in ("abstained", "disagreed")
