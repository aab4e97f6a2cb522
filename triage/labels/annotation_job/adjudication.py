"""Adjudication: a person settles a disagreement between annotators, and the gold label records what it settled."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from pydantic import BaseModel

from triage.domain.annotation import NOT_TOLD, Annotation
from triage.domain.errors import Conflict, InvalidInput
from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Label
from triage.history.casebook import Casebook
from triage.labels.annotation_job.disagreement import (
    Disagreement,
    Verdict,
    agreed,
    disagreements,
    opinions,
    parent_labels,
    verdict_on,
    verdicts,
)
from triage.labels.annotation_job.labelling import Labelling
from triage.observability.progress import Progress, silent
from triage.store import Labelled, Store
from triage.store.cursor import read_cursor, write_cursor

_CHUNK = 100


class Disputed(BaseModel, frozen=True):
    """An incident with its open disagreements in the taxonomy's order, parent facets first."""

    incident_id: str
    title: str
    disagreements: tuple[Disagreement, ...]


class DisputedPage(BaseModel, frozen=True):
    """A page of incidents with open disagreements, newest first. `next_cursor` is None on the last page."""

    incidents: tuple[Disputed, ...]
    next_cursor: str | None


class Dispute(NamedTuple):
    """One facet to settle, with its annotations and the labels that can become gold, those that annotators gave first.

    `above` names the parent facet and its settled labels, if any. `settled` is an earlier adjudication. `as_of` is the
    state of the incident's annotations.
    """

    incident: Incident
    facet: Facet
    labels: tuple[Label, ...]
    annotations: tuple[Annotation, ...]
    settled: Annotation | None
    above: str
    as_of: Labelled


class Ruling(NamedTuple):
    """An adjudicator's decision on one facet. The first label is the primary one; the note gives the reason.

    No labels settle that the write-up doesn't tell. `accepts_new_label` allows a label that no annotator gave.
    """

    facet: str
    labels: tuple[str, ...]
    note: str = ""
    accepts_new_label: bool = False


class Accepted(NamedTuple):
    """The result of `accept_agreed`: counts of new gold facets and their incidents, and the reasons for those left out.

    `is_cut_off` is true if it stopped before it had checked every incident.
    """

    facets: int
    incidents: int
    left_out: list[str]
    is_cut_off: bool = False


class Adjudication:
    """Finds open disagreements and settles them."""

    def __init__(self, casebook: Casebook, store: Store) -> None:
        self.taxonomy = casebook.taxonomy
        self._casebook = casebook
        self._store = store
        self._labelling = Labelling(store, casebook.taxonomy)

    async def page(
        self,
        limit: int,
        cursor: str | None = None,
        adjudicator: str | None = None,
        teams: Collection[str] | None = None,
        most: int | None = None,
    ) -> DisputedPage:
        """List incidents with open disagreements.

        With an `adjudicator`, incidents that this person still has to label are left out. `teams` limits the list to
        these teams. With `most` the search stops after about that many incidents with differing labels: a page with
        fewer than `limit` incidents then still has a cursor.
        """
        before = None if cursor is None else read_cursor(cursor)
        disputed: list[tuple[int, str, list[Disagreement]]] = []
        checked, is_end = 0, False
        while len(disputed) <= limit and not is_end and (most is None or checked < most):
            chunk = await self._store.annotations.list_labelled(
                2, before=before, limit=_CHUNK, teams=teams, differing=True
            )
            checked, is_end = checked + len(chunk), len(chunk) < _CHUNK
            blind = await self._blind(adjudicator, [incident_id for _, incident_id in chunk])
            annotations = await self._store.annotations.list_many([incident_id for _, incident_id in chunk])
            for seq, incident_id in chunk:
                if incident_id not in blind and (open_ := disagreements(annotations[incident_id], self.taxonomy)):
                    disputed.append((seq, incident_id, open_))
            before = chunk[-1][0] if chunk else before
        shown = disputed[:limit]
        last = shown[-1][0] if len(disputed) > limit else None if is_end else before
        stored = await self._store.incidents.find_many([incident_id for _, incident_id, _ in shown])
        return DisputedPage(
            incidents=tuple(
                Disputed(incident_id=key, title=stored[key].incident.title, disagreements=tuple(open_))
                for _, key, open_ in shown
            ),
            next_cursor=None if last is None else write_cursor(last),
        )

    async def dispute(
        self, incident_id: str, facet_id: str | None = None, adjudicator: str | None = None
    ) -> Dispute | None:
        """The first open disagreement of an incident, or the given facet even if it is settled already.

        Returns None if there is nothing to settle. Raises `NotFound`, and `Conflict` if the adjudicator still has to
        label the facet.
        """
        incident = (await self._store.incidents.get(incident_id)).incident
        annotations = await self._store.annotations.list(incident_id)
        if facet_id is None:
            open_ = next(iter(disagreements(annotations, self.taxonomy)), None)
        else:
            annotations_of_facet = tuple(each for each in opinions(annotations) if each.facet == facet_id)
            verdict = verdict_on(facet_id, annotations)
            open_ = Disagreement(
                incident_id=incident_id, facet=facet_id, annotations=annotations_of_facet, settled=verdict
            )
        if open_ is None or not open_.annotations:
            return None
        facet = self.taxonomy.facet(open_.facet)
        if facet.id in (await self._blind(adjudicator, [incident_id])).get(incident_id, ()):
            raise _must_label_first(str(adjudicator), incident_id, facet.id)
        parents = parent_labels(facet, annotations, self.taxonomy)
        labels = facet.labels if parents is None else facet.children(parents)
        given = given_labels(facet.id, annotations)
        as_of = Labelled(len(annotations), annotations[-1].id or 0)
        above = self._above(facet, parents or ())
        labels = tuple(sorted(labels, key=lambda label: label.id not in given))
        return Dispute(incident, facet, labels, open_.annotations, open_.settled, above, as_of)

    async def settle(
        self, incident_id: str, adjudicator: str, rulings: Sequence[Ruling], expected: Labelled | None = None
    ) -> list[Annotation]:
        """Store gold labels for these facets, all or none; each settles every annotation of its facet.

        Settling a facet also accepts the agreed label of its parent facet; one that is not told settles the facets
        below, as far as people labelled them. Raises `NotFound`, `Conflict` if the adjudicator still has to label the
        facet, `InvalidInput` if nobody labelled it, nobody gave a label that the ruling doesn't accept as new, or the
        labels do not fit together, and `Outdated` if the incident has more annotations than `expected`.
        """
        await self._store.incidents.get(incident_id)
        annotations = await self._store.annotations.list(incident_id)
        blind = await self._blind(adjudicator, [incident_id])
        decided = {ruling.facet: ruling for ruling in rulings}
        for ruling in rulings:
            facet = self.taxonomy.facet(ruling.facet)
            _check_given(ruling, self.taxonomy.canonical_answer(facet.id, ruling.labels), annotations)
            for below in self.taxonomy.refining(facet.id) if not ruling.labels else ():
                if given_labels(below.id, annotations):
                    decided.setdefault(below.id, Ruling(below.id, (), ruling.note))
            if facet.id in blind.get(incident_id, ()):
                raise _must_label_first(adjudicator, incident_id, facet.id)
            if facet.parent is not None and facet.parent not in decided:
                parents = parent_labels(facet, annotations, self.taxonomy)
                if parents is not None and verdict_on(facet.parent, annotations) is None:
                    decided[facet.parent] = Ruling(facet.parent, parents)
        return await self._casebook.annotate(
            incident_id, [_gold(incident_id, adjudicator, each, annotations) for each in decided.values()], expected
        )

    async def accept_agreed(
        self,
        adjudicator: str,
        progress: Progress = silent,
        teams: Collection[str] | None = None,
        most: int | None = None,
    ) -> Accepted:
        """Make gold every label that at least two people agree on, except labels that do not fit their parent label.

        `teams` limits it to incidents of these teams, `most` to that many incidents.
        """
        ids = [incident_id for _, incident_id in await self._store.annotations.list_labelled(2, teams=teams)]
        facets, incidents, left_out, is_cut_off = 0, 0, list[str](), False
        for start in range(0, len(ids), _CHUNK):
            rulings: dict[str, list[Annotation]] = {}
            annotations = await self._store.annotations.list_many(ids[start : start + _CHUNK])
            for incident_id, given in annotations.items():
                if is_cut_off := incidents + len(rulings) == most:
                    break
                if found := list(self._agreed(incident_id, adjudicator, given, left_out)):
                    rulings[incident_id] = found
            refused = await self._casebook.annotate_many([each for found in rulings.values() for each in found])
            left_out += [f"{incident_id}: {why}" for incident_id, why in refused.items()]
            incidents += len(rulings) - len(refused)
            facets += sum(len(found) for incident_id, found in rulings.items() if incident_id not in refused)
            if is_cut_off:
                break
            progress("Accepting what all agree on", min(start + _CHUNK, len(ids)), len(ids))
        return Accepted(facets, incidents, left_out, is_cut_off)

    def _agreed(
        self, incident_id: str, adjudicator: str, annotations: Sequence[Annotation], left_out: list[str]
    ) -> Iterator[Annotation]:
        """Gold labels for what people agree on; why others are none is added to `left_out`."""
        for agreement in agreed(annotations, self.taxonomy):
            facet = self.taxonomy.facet(agreement.facet)
            try:
                parents = parent_labels(facet, annotations, self.taxonomy)
                if facet.parent is not None and parents is not None:
                    self.taxonomy.validate_labels({facet.parent: parents, facet.id: agreement.labels})
                yield _gold(incident_id, adjudicator, Ruling(facet.id, agreement.labels), annotations)
            except InvalidInput as error:
                left_out.append(f"{incident_id}: {error.detail}")

    async def history(self, incident_id: str) -> list[Verdict]:
        """All adjudications of an incident, oldest first, with the annotations they settled. Raises `NotFound`."""
        await self._store.incidents.get(incident_id)
        return verdicts(await self._store.annotations.list(incident_id))

    def _above(self, facet: Facet, parents: Sequence[str]) -> str:
        if facet.parent is None or not parents:
            return ""
        parent = self.taxonomy.facet(facet.parent)
        return f"{parent.name}: {', '.join(parent.label(label).name for label in parents)}"

    async def _blind(self, adjudicator: str | None, incident_ids: Sequence[str]) -> dict[str, set[str]]:
        return {} if adjudicator is None else await self._labelling.waiting(adjudicator, incident_ids)


def given_labels(facet_id: str, annotations: Sequence[Annotation]) -> list[str]:
    """The labels that annotators gave, or an earlier adjudication; `NOT_TOLD` among them if one said so."""
    given = [each for each in opinions(annotations) if each.facet == facet_id]
    verdict = verdict_on(facet_id, annotations)
    return list(dict.fromkeys(label for each in (*given, *([verdict] if verdict else ())) for label in each.answer))


def _check_given(ruling: Ruling, labels: Sequence[str], annotations: Sequence[Annotation]) -> None:
    given = given_labels(ruling.facet, annotations)
    new = [label for label in labels or (NOT_TOLD,) if label not in given]
    if new and given and not ruling.accepts_new_label:
        raise InvalidInput(
            f"No annotator gave {', '.join(map(repr, new))}; they gave {', '.join(map(repr, given))}. Choose one of "
            "these. If all of them are wrong, confirm that you choose another one: the box on the page, or "
            "accepts_new_label in a request.",
            field="accepts_new_label",
            facet=ruling.facet,
            labels=new,
            given=given,
        )


def _must_label_first(adjudicator: str, incident_id: str, facet_id: str) -> Conflict:
    return Conflict(
        f"{adjudicator!r} still has to label {facet_id!r} of {incident_id!r} without seeing other labels. "
        "Label it first, or let someone else settle it.",
        incident_id=incident_id,
        facet=facet_id,
    )


def _gold(incident_id: str, adjudicator: str, ruling: Ruling, annotations: Sequence[Annotation]) -> Annotation:
    settles = tuple(each.id for each in opinions(annotations) if each.facet == ruling.facet and each.id is not None)
    if not settles:
        raise InvalidInput(
            f"Nobody has labelled {ruling.facet!r} of {incident_id!r}, so there is nothing to settle.",
            field="facet",
            facet=ruling.facet,
        )
    return Annotation(
        incident_id=incident_id,
        facet=ruling.facet,
        labels=ruling.labels,
        annotator=adjudicator,
        note=ruling.note,
        is_gold=True,
        settles=settles,
    )
