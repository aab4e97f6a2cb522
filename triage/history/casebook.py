"""The casebook keeps incidents, annotations, vectors and the index of the history consistent. SQL is the truth."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from triage.domain.annotation import Annotation, Labels, Origin, standing
from triage.domain.errors import Conflict, InvalidInput, NotFound
from triage.domain.incident import Incident, content_id
from triage.domain.lines import clean_text
from triage.domain.principal import DEFAULT_TEAM, SHARED_TEAM, team_id
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Neighbour
from triage.history import Example, IndexUnavailable
from triage.history.browsing import Browsed, Mode, browse
from triage.history.indexing import Index, Indexer
from triage.models.embedding import Embedder, Vectors
from triage.observability.progress import Progress, silent
from triage.redaction import Redactor
from triage.store import Labelled, Store
from triage.store.incidents import StoredIncident

Checked = TypeVar("Checked")

_log = logging.getLogger(__name__)

_ACCEPTED_AT_ONCE = 200
_BATCH = 256
_EMBEDDED_AT_ONCE = 32
_EMBEDDING = "Embedding write-ups"


class Foreseen(NamedTuple):
    """An incident as an example, with its gold labels before and after further annotations.

    Without gold labels it is not part of the history.
    """

    team: str
    example: Example
    before: Labels
    after: Labels

    @property
    def changed(self) -> frozenset[str]:
        """The facets whose gold labels would change."""
        return frozenset(f for f in {*self.before, *self.after} if self.before.get(f) != self.after.get(f))

    @property
    def changes_members(self) -> bool:
        """True if the incident would join or leave the history."""
        return bool(self.before) != bool(self.after)


class Casebook:
    """The one place where incidents are accepted, labelled, and added to the history.

    The embedder, the index and searches see redacted texts only; the store keeps the originals. `indexer` repairs and
    rebuilds the index. `fingerprint` is that of the embedder: vectors of different embedders can't be compared.
    """

    def __init__(
        self, store: Store, history: Index, redactor: Redactor, embedder: Embedder, taxonomy: Taxonomy
    ) -> None:
        self.taxonomy = taxonomy
        self.history = history
        self.fingerprint = embedder.fingerprint
        self._store = store
        self._redactor = redactor
        self._embedder = embedder
        self.indexer = Indexer(store, history, redactor, embedder)
        self.on_accepted: Callable[[], None] = lambda: None
        # Of two corrections of one incident the second is checked against the first.
        self._labelling = asyncio.Lock()

    async def accept(self, incident: Incident, team: str = DEFAULT_TEAM) -> bool:
        """Store an incident of `team` and request its triage. True if it is new, False if it was stored before.

        A stored one that was imported, or that failed for good, is triaged too. Raises `Conflict` if the id is taken by
        other content.
        """
        if await self._store.incidents.add(incident, self.taxonomy.id, team):
            self.on_accepted()
            return True
        if conflict := _conflict(await self._store.incidents.get(incident.id), incident, team):
            raise conflict
        await self._store.attempts.request(incident.id)
        return False

    async def accept_many(self, incidents: Sequence[Incident], team: str = DEFAULT_TEAM) -> list[bool | Conflict]:
        """Accept many incidents, see `accept`. For each: whether it is new, or its conflict."""
        outcomes: list[bool | Conflict] = []
        for start in range(0, len(incidents), _ACCEPTED_AT_ONCE):
            portion = incidents[start : start + _ACCEPTED_AT_ONCE]
            new = await self._store.incidents.add_many(portion, self.taxonomy.id, team)
            times = Counter(each.id for each in portion)
            stored = await self._store.incidents.find_many(
                [name for name, n in times.items() if name not in new or n > 1]
            )
            for incident in portion:
                if incident.id in new:
                    new.remove(incident.id)
                    outcomes.append(True)
                    self.on_accepted()
                    continue
                known = stored[incident.id]
                conflict = _conflict(known, incident, team)
                outcomes.append(conflict or False)
                if conflict is None and known.status in ("imported", "failed"):
                    await self._store.attempts.request(incident.id)
        return outcomes

    async def annotate(
        self, incident_id: str, annotations: Sequence[Annotation], expected: Labelled | None = None
    ) -> list[Annotation]:
        """Store annotations of one incident, all or none. If any is gold, the incident joins the history at once.

        Where no labels say that the write-up doesn't tell, the facets below get the same answer. Returns them as
        stored, with canonical labels. Raises `NotFound`; `InvalidInput` for an unknown facet or label, or a label that
        contradicts the annotator's own or the gold label of the parent facet; `Outdated` if the incident has changed
        since `expected`.
        """
        incident = (await self._store.incidents.get(incident_id)).incident
        given = self._answers(annotation.model_copy(update={"incident_id": incident_id}) for annotation in annotations)
        async with self._labelling:
            before = await self._store.annotations.list(incident_id)
            gold = self._check_gold(given, before)
            embedded = await self.indexer.embed_missing([incident]) if any(gold.values()) else {}
            recorded = await self._store.record(
                given,
                fingerprint=self.fingerprint,
                vectors=embedded,
                is_interactive=True,
                expected=expected,
            )
        await self._align(recorded.marks, recorded.marks)
        return recorded.annotations

    async def annotate_many(self, annotations: Sequence[Annotation]) -> dict[str, str]:
        """Store annotations of many incidents as `annotate` does: of each incident all or none, and in one step.

        Returns incident id -> why its annotations were refused. Raises `NotFound`, and `InvalidInput` for an unknown
        facet or label.
        """
        given, refused, gold = self._answers(annotations), dict[str, str](), dict[str, Labels]()
        ids = dict.fromkeys(each.incident_id for each in given)
        async with self._labelling:
            before = await self._store.annotations.list_many(ids)
            for key, new in _by_incident(given).items():
                try:
                    gold[key] = self._check_gold(new, before[key])
                except InvalidInput as error:
                    refused[key] = error.detail
            joining = await self._store.incidents.find_many(
                [key for key, labels in gold.items() if any(labels.values())]
            )
            recorded = await self._store.record(
                [each for each in given if each.incident_id in gold],
                fingerprint=self.fingerprint,
                vectors=await self.indexer.embed_missing([each.incident for each in joining.values()]),
                is_interactive=True,
            )
        await self._align(recorded.marks, recorded.marks)
        return refused

    async def foresee(self, incident_id: str, annotations: Sequence[Annotation]) -> Foreseen:
        """What `annotate` would do to the history; stores nothing. Raises what `annotate` would raise."""
        stored = await self._store.incidents.get(incident_id)
        given = self._answers(annotation.model_copy(update={"incident_id": incident_id}) for annotation in annotations)
        annotated = await self._store.annotations.list(incident_id)
        before, after = _told(_standing_gold(annotated)), _told(self._check_gold(given, annotated))
        vectors = await self._store.vectors.find_many(self.fingerprint, [incident_id])
        vectors |= await self.indexer.embed_missing([stored.incident]) if incident_id not in vectors else {}
        text = (await self.indexer.texts.texts([incident_id])).get(incident_id)
        if text is None:
            raise NotFound(f"There is no incident {incident_id!r}.", incident_id=incident_id)
        incident, vector = stored.incident, vectors[incident_id]
        times = incident.started_at, incident.ttm_minutes, incident.ttm_until
        example = Example(incident_id, text.text, vector, {}, text.title, text.url, *times)
        return Foreseen(stored.team, example, before, after)

    async def import_history(
        self,
        records: Sequence[tuple[Incident, Labels]],
        annotator: str,
        origin: Origin,
        progress: Progress = silent,
        team: str = DEFAULT_TEAM,
    ) -> None:
        """Import labelled incidents into the history of `team`. Importing them again changes nothing and is fast.

        Their ids get the team's prefix, see `team_id`, except in the shared history. Raises `InvalidInput` for an
        unknown label before anything is stored, and `Conflict` for an id of another, posted incident.
        """
        checked = [(_of_team(incident, team), self.taxonomy.validate_labels(labels)) for incident, labels in records]
        for start in range(0, len(checked), _BATCH):
            await self._import_batch(checked[start : start + _BATCH], annotator, origin, team)
            progress("Importing incidents", min(start + _BATCH, len(checked)), len(checked))

    async def import_annotations(
        self, annotations: Sequence[Annotation], incidents: Mapping[str, Incident] | None = None
    ) -> int:
        """Import annotations, all or none. Returns how many are new.

        Annotated incidents that are in `incidents` but not stored are imported too, and not triaged. Raises `NotFound`
        for an incident in neither, and `InvalidInput` for labels that contradict each other, see `annotate`.
        """
        given = self._answers(annotations)
        ids = list(dict.fromkeys(annotation.incident_id for annotation in given))
        stored = await self._store.incidents.find_many(ids)
        new = {key: incident for key, incident in (incidents or {}).items() if key in ids and key not in stored}
        if missing := [key for key in ids if key not in stored and key not in new]:
            raise NotFound(f"There is no incident {', '.join(map(repr, missing[:10]))}.", incident_ids=missing)
        known = {key: entry.incident for key, entry in stored.items()} | new
        async with self._labelling:
            before = await self._store.annotations.list_many(ids)
            gold = _of_each(self._check_gold, given, before)
            embedded = await self.indexer.embed_missing([known[key] for key in ids if any(gold[key].values())])
            recorded = await self._store.record(
                given,
                imported=new,
                taxonomy=self.taxonomy.id,
                fingerprint=self.fingerprint,
                vectors=embedded,
            )
        await self._align(recorded.marks, recorded.marks)
        return len(
            {each.id for each in recorded.annotations} - {each.id for of_one in before.values() for each in of_one}
        )

    async def search(
        self, text: str, k: int, as_of: datetime | None = None, teams: Collection[str] | None = None
    ) -> list[Neighbour]:
        """The `k` incidents of the history most similar to `text`, best first; with `as_of` those that began earlier.

        `teams` are the teams whose incidents are searched; None means all.
        """
        redacted = await asyncio.to_thread(self._redactor.redact, text)
        vector = (await self._embedder.embed([clean_text(redacted.text)]))[0]
        return await self.history.neighbours(redacted.text, vector, k, as_of=as_of, teams=teams)

    async def browse(
        self,
        text: str,
        chosen: Labels,
        k: int,
        mode: Mode = "both",
        teams: Collection[str] | None = None,
        without: Collection[str] = (),
    ) -> Browsed:
        """Browse the history of these `teams` (None: all), see `browse`: the first 5,000 incidents of a larger one."""
        redacted = await asyncio.to_thread(self._redactor.redact, text)
        has_meaning = bool(text.strip()) and mode != "words"
        vector = (await self._embedder.embed([clean_text(redacted.text)]))[0] if has_meaning else None
        examples = await self.history.examples("", teams=teams)
        return await asyncio.to_thread(
            browse, examples, redacted.text, vector, chosen=chosen, mode=mode, k=k, without=without
        )

    async def vectors(
        self, incidents: Sequence[Incident], most: int | None = None, progress: Progress = silent
    ) -> dict[str, Vectors]:
        """Incident id -> vector (shape (dimension,)) of its redacted text, by the embedder in use.

        The first `most` incidents without a vector are embedded and their vectors stored; the others are left out.
        Raises `ModelUnavailable` if the embedder does not answer.
        """
        found = await self._store.vectors.find_many(self.fingerprint, [incident.id for incident in incidents])
        missing = [incident for incident in incidents if incident.id not in found][:most]
        for start in range(0, len(missing), _EMBEDDED_AT_ONCE):
            progress(_EMBEDDING, start, len(missing))
            made = await self.indexer.embed_missing(missing[start : start + _EMBEDDED_AT_ONCE])
            # An incident may have been deleted meanwhile.
            with contextlib.suppress(NotFound):
                await self._store.vectors.save(self.fingerprint, made)
            found |= made
        if missing:
            progress(_EMBEDDING, len(missing), len(missing))
        return found

    async def delete(self, incident_id: str, actor: str) -> None:
        """Delete an incident from the store and the index. Raises `NotFound`. For its job, see `Jobs.forget`."""
        marked = await self._store.incidents.delete(incident_id, actor)
        await self._align([incident_id], marked)

    async def _import_batch(
        self, records: Sequence[tuple[Incident, Labels]], annotator: str, origin: Origin, team: str
    ) -> None:
        stored = await self._store.incidents.find_many([incident.id for incident, _ in records])
        imported = {}
        for incident, _ in records:
            known = stored.get(incident.id)
            differing = _differences(known.incident, incident) if known else []
            if known is not None and differing and known.status != "imported":
                raise Conflict(
                    f"Incident {incident.id!r} was posted with another {', '.join(differing)}: give the imported one "
                    "an id of its own.",
                    incident_id=incident.id,
                    fields=differing,
                )
            if known is None or differing:
                imported[incident.id] = incident
        given = [
            Annotation(
                incident_id=incident.id, facet=facet, labels=ids, annotator=annotator, origin=origin, is_gold=True
            )
            for incident, labels in records
            for facet, ids in labels.items()
        ]
        embedded = await self.indexer.embed_missing([incident for incident, _ in records], anew=imported)
        async with self._labelling:
            _of_each(self._check_own, given, await self._store.annotations.list_many(stored))
            recorded = await self._store.record(
                given,
                imported=imported,
                taxonomy=self.taxonomy.id,
                fingerprint=self.fingerprint,
                vectors=embedded,
                team=team,
            )
        await self._align(recorded.marks, recorded.marks)

    def _answers(self, annotations: Iterable[Annotation]) -> list[Annotation]:
        """The annotations with canonical labels, and "not told" for the facets below one that is not told."""
        given = [self._canonical(annotation) for annotation in annotations]
        answered = {(each.incident_id, each.annotator, each.facet) for each in given}
        below = [
            each.model_copy(update={"facet": facet.id, "id": None})
            for each in given
            if not each.labels and not each.is_adjudication
            for facet in self.taxonomy.refining(each.facet)
            if (each.incident_id, each.annotator, facet.id) not in answered
        ]
        return given + below

    def _canonical(self, annotation: Annotation) -> Annotation:
        labels = self.taxonomy.canonical_answer(annotation.facet, annotation.labels)
        if annotation.origin == "human" and annotation.annotator.startswith("model:"):
            raise InvalidInput(
                f"Annotator {annotation.annotator!r} is named like a model but given as a person.", field="annotator"
            )
        return annotation.model_copy(update={"labels": labels})

    def _check_gold(self, given: Sequence[Annotation], before: Sequence[Annotation]) -> Labels:
        """The gold labels of one incident after `given`. Raises `InvalidInput` if labels contradict each other."""
        self._check_own(given, before)
        return self.taxonomy.validate_labels(_standing_gold([*before, *given]))

    def _check_own(self, given: Sequence[Annotation], before: Sequence[Annotation]) -> None:
        """Raise `InvalidInput` if a label in `given` contradicts another one of its annotator."""
        opinions = [each for each in standing([*before, *given]) if not each.is_adjudication]
        for annotator in dict.fromkeys(each.annotator for each in given if not each.is_adjudication):
            own = {each.facet: each.labels for each in opinions if each.annotator == annotator}
            new = {each.facet for each in given if each.annotator == annotator}
            for facet in self.taxonomy.facets:
                pair = {name: own[name] for name in (facet.parent, facet.id) if name in own}
                if len(pair) < 2 or not new & pair.keys():
                    continue
                try:
                    self.taxonomy.validate_labels(pair)
                except InvalidInput as error:
                    stored = ", ".join(pair.keys() - new)
                    again = f" {annotator!r} labelled {stored!r} before: to change it, send both together."
                    raise InvalidInput(f"{error.detail}{again if stored else ''}", **error.data) from error

    async def _align(self, incident_ids: Collection[str], marked: Mapping[str, int]) -> None:
        """Update the index. If it does not answer, the marks stay for later: nothing stored is lost."""
        try:
            await self.indexer.align(incident_ids, marked)
        except IndexUnavailable as error:
            _log.warning("The index follows later for %d incident(s): %s", len(incident_ids), error.detail)


def _of_team(incident: Incident, team: str) -> Incident:
    return incident if team == SHARED_TEAM else incident.model_copy(update={"id": team_id(team, incident.id)})


def _conflict(stored: StoredIncident, incident: Incident, team: str) -> Conflict | None:
    """Why `incident` of `team` is not the stored one with its id; None if it is."""
    if stored.team != team:
        # The message says nothing about the stored incident: it is another team's.
        return Conflict(f"The id {incident.id!r} is taken: give this incident another one.", incident_id=incident.id)
    if not (differing := _differences(stored.incident, incident)):
        return None
    return Conflict(
        f"Incident {incident.id!r} is stored with another {', '.join(differing)}: give this one an id of its own, or "
        "post it exactly as before.",
        incident_id=incident.id,
        fields=differing,
    )


def _differences(stored: Incident, new: Incident) -> list[str]:
    """The fields in which two incidents differ, ignoring line ends and outer white space of the texts."""
    return [
        name
        for name in Incident.model_fields
        if getattr(stored, name) != getattr(new, name)
        and (name not in ("title", "write_up") or _normal(stored, name) != _normal(new, name))
    ]


def _normal(incident: Incident, field: str) -> str:
    return content_id("", getattr(incident, field))


def _standing_gold(annotations: Iterable[Annotation]) -> Labels:
    """Gold labels out of one incident's annotations, oldest first, by the same rule as `Gold`."""
    by_rank = sorted(standing(annotations), key=lambda annotation: annotation.origin == "human")
    return {annotation.facet: annotation.labels for annotation in by_rank if annotation.is_gold}


def _of_each(
    check: Callable[[Sequence[Annotation], Sequence[Annotation]], Checked],
    given: Iterable[Annotation],
    before: Mapping[str, Sequence[Annotation]],
) -> dict[str, Checked]:
    """Incident id -> the result of `check` on its annotations in `given`; an error names the incident."""
    found = {}
    for key, new in _by_incident(given).items():
        try:
            found[key] = check(new, before.get(key, ()))
        except InvalidInput as error:
            raise InvalidInput(f"Incident {key!r}: {error.detail}", **error.data) from error
    return found


def _by_incident(annotations: Iterable[Annotation]) -> dict[str, list[Annotation]]:
    found: dict[str, list[Annotation]] = {}
    for annotation in annotations:
        found.setdefault(annotation.incident_id, []).append(annotation)
    return found


def _told(gold: Labels) -> Labels:
    """The gold labels without the facets that are not told."""
    return {facet: labels for facet, labels in gold.items() if labels}
