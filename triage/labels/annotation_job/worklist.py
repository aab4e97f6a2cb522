"""What people are to look at: incidents that nobody has labelled, where the triage abstained or is degraded, where
people or person and model disagree, and those without a triage."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from triage.domain.annotation import Annotation, Labels
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Triage
from triage.labels.annotation_job.disagreement import against_model, disagreements, opinions
from triage.labels.annotation_job.labelling import Labelling
from triage.store import Candidate, Pile, Store, Wanted
from triage.store.cursor import read_cursor, write_cursor

Kind = Literal["new", "abstained", "disagreed", "degraded", "untriaged"]
"""Why an incident is to be looked at. `abstained`: on a facet that nobody has labelled since. `disagreed`: nobody has
settled it. `untriaged`: it waits for its triage, or that failed."""

LOOKED_AT = 500
"""So many incidents are looked at for a count, and for a page, where the database can't tell by itself."""

COUNTED = 1_000
"""Up to so many are counted where it can."""

_PORTION = 100

_PILES: Mapping[Kind, Pile] = {
    "new": "new",
    "abstained": "triaged",
    "disagreed": "labelled",
    "degraded": "degraded",
    "untriaged": "untriaged",
}


class Reasons(NamedTuple):
    """Why an incident is to be looked at; the facets in the taxonomy's order.

    `abstained` are those that nobody has labelled since, `between_people` and `against_model` those that nobody has
    settled.
    """

    is_new: bool
    is_degraded: bool
    abstained: tuple[str, ...]
    between_people: tuple[str, ...]
    against_model: tuple[str, ...]


class Item(NamedTuple):
    """An incident to be looked at. `triage` is its latest one, None where there is none.

    Where `is_blind`, who looks has still to label it without the model's labels, and `triage` is withheld.
    """

    candidate: Candidate
    reasons: Reasons
    triage: Triage | None
    is_blind: bool = False


class WorkPage(NamedTuple):
    """Some incidents, newest first, and the cursor of what is behind them (None at the end).

    `looked_at` is how many were looked through. Where these were not all and there are fewer items than asked for,
    there may be more behind the cursor: `is_cut_off`.
    """

    items: tuple[Item, ...]
    next_cursor: str | None
    looked_at: int
    is_cut_off: bool


class Count(NamedTuple):
    """How many there are; at least so many where `is_least`, as not all were looked at."""

    n: int
    is_least: bool


class Said(NamedTuple):
    """A label that the triage is to have given."""

    facet: str
    label: str


class Worklist:
    """The incidents to be looked at."""

    def __init__(self, store: Store, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._store = store
        self._facets = [facet.id for facet in taxonomy.facets if facet.triage]
        self._labelling = Labelling(store, taxonomy)

    async def page(
        self,
        kind: Kind,
        wanted: Wanted,
        *,
        said: Said | None = None,
        annotator: str = "",
        limit: int,
        cursor: str | None = None,
    ) -> WorkPage:
        """Incidents of a kind, newest first; with `said` those whose latest triage gave that label.

        What comes in meanwhile shifts no page. What the `annotator` is to label blind comes without its triage, and not
        at all where being found would tell of that. Raises `InvalidInput` for a cursor that is none.
        """
        found: list[Candidate] = []
        looked_at, before, is_end = 0, None if cursor is None else read_cursor(cursor), False
        size = _PORTION if _looks(kind, said) else limit + 1
        while len(found) <= limit and not is_end and looked_at < LOOKED_AT:
            portion = await self._portion(kind, wanted, before, size)
            found += await self._fitting(kind, said, portion, annotator)
            looked_at, is_end = looked_at + len(portion), len(portion) < size
            before = portion[-1].seq if portion else before
        shown = found[:limit]
        is_cut_off = not is_end and len(found) <= limit
        last = shown[-1].seq if len(found) > limit else before if is_cut_off else None
        return WorkPage(
            await self._items(shown, annotator), None if last is None else write_cursor(last), looked_at, is_cut_off
        )

    async def count(self, kind: Kind, wanted: Wanted, said: Said | None = None, annotator: str = "") -> Count:
        """How many incidents of a kind `page` finds, of the newest `LOOKED_AT` or up to `COUNTED`."""
        if not _looks(kind, said):
            n = await self._store.review_queues.count(_PILES[kind], wanted, COUNTED + 1)
            return Count(min(n, COUNTED), is_least=n > COUNTED)
        n, looked_at, before, is_end = 0, 0, None, False
        while not is_end and looked_at < LOOKED_AT:
            portion = await self._portion(kind, wanted, before, _PORTION)
            n += len(await self._fitting(kind, said, portion, annotator))
            looked_at, is_end = looked_at + len(portion), len(portion) < _PORTION
            before = portion[-1].seq if portion else before
        return Count(n, is_least=not is_end)

    async def _portion(self, kind: Kind, wanted: Wanted, before: int | None, size: int) -> Sequence[Candidate]:
        facets = self._facets
        return await self._store.review_queues.list(_PILES[kind], wanted, before=before, limit=size, facets=facets)

    async def _fitting(
        self, kind: Kind, said: Said | None, portion: Sequence[Candidate], annotator: str
    ) -> list[Candidate]:
        if not _looks(kind, said):
            return list(portion)
        if said is not None:
            portion = [one for one in portion if said.label in one.labels.get(said.facet, ())]
        if kind == "abstained":
            portion = [one for one in portion if not all(one.labels.values())]
        # That it is found would tell what the triage or others said.
        blind = await self._blind(annotator, portion)
        portion = [one for one in portion if one.incident.id not in blind]
        if kind not in ("abstained", "disagreed"):
            return portion
        annotations = await self._store.annotations.list_many([one.incident.id for one in portion])
        reasons = {one.seq: why(one, annotations[one.incident.id], self.taxonomy) for one in portion}
        return [one for one in portion if _is_of(kind, reasons[one.seq])]

    async def _blind(self, annotator: str, portion: Sequence[Candidate]) -> Collection[str]:
        if not annotator or not portion:
            return ()
        return await self._labelling.waiting(annotator, [one.incident.id for one in portion], blind=True)

    async def _items(self, shown: Sequence[Candidate], annotator: str) -> tuple[Item, ...]:
        ids = [one.incident.id for one in shown]
        annotations = await self._store.annotations.list_many(ids)
        blind = await self._blind(annotator, shown)
        open_ = [one.triage_id for one in shown if one.triage_id is not None and one.incident.id not in blind]
        documents = await self._store.triages.find_documents_by_id(open_)
        items = []
        for one in shown:
            document = documents.get(one.triage_id or 0)
            reasons = why(one, annotations[one.incident.id], self.taxonomy)
            triage = None if document is None else Triage.model_validate_json(document)
            items.append(Item(one, reasons, triage, is_blind=one.incident.id in blind))
        return tuple(items)


def why(candidate: Candidate, annotations: Sequence[Annotation], taxonomy: Taxonomy) -> Reasons:
    """Why an incident is to be looked at, by its latest triage and its annotations (oldest first)."""
    said = opinions(annotations)
    labelled = {each.facet for each in annotations if each.origin == "human"}
    # The labels of a degraded triage are not those of its model.
    triaged: Labels = {} if candidate.is_degraded else candidate.labels
    return Reasons(
        is_new=candidate.incident.status == "triaged" and not labelled,
        is_degraded=candidate.is_degraded,
        abstained=tuple(
            facet.id for facet in taxonomy.facets if candidate.labels.get(facet.id) == () and facet.id not in labelled
        ),
        between_people=tuple(each.facet for each in disagreements(annotations, taxonomy)) if len(said) > 1 else (),
        against_model=tuple(against_model(annotations, triaged, taxonomy)),
    )


def _looks(kind: Kind, said: Said | None) -> bool:
    """True if the incidents have to be looked at one by one."""
    return said is not None or kind in ("abstained", "disagreed")


def _is_of(kind: Kind, reasons: Reasons) -> bool:
    if kind == "abstained":
        return bool(reasons.abstained)
    return bool(reasons.between_people or reasons.against_model)
