"""The casebook: incidents, annotations, vectors and the searchable history, kept in step. SQL is the truth."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np

from triage.annotation import Annotation, Labels, Origin, standing
from triage.embedding import Embedder, Vectors
from triage.errors import Conflict, InvalidInput, NotFound
from triage.history import History
from triage.incident import Incident, content_id
from triage.redaction import Redactor
from triage.store import Labelled, Store
from triage.taxonomy import Taxonomy
from triage.triage_result import Neighbour

_BATCH = 32
_ACCEPTED_AT_ONCE = 200


class Index(History, Protocol):
    """A history that can be compared with the store and filled anew."""

    async def labels(self) -> dict[str, Labels]: ...

    async def clear(self) -> None: ...


class Casebook:
    """The one place where incidents come in, are labelled, and become history.

    What the embedder, the index and a searcher see of an incident is redacted; the store keeps it as it came.
    """

    def __init__(
        self, store: Store, history: Index, redactor: Redactor, embedder: Embedder, taxonomy: Taxonomy
    ) -> None:
        self.taxonomy = taxonomy
        self._store = store
        self._history = history
        self._redactor = redactor
        self._embedder = embedder
        # Reading the gold labels and writing them into the index must not be overtaken by a later correction.
        self._labelling = asyncio.Lock()

    async def accept(self, incident: Incident) -> bool:
        """Store an incident to be triaged. True if it is new; False if the same was there already.

        One that was there but without a triage to come (imported, or failed for good) gets another chance.
        Raises `Conflict` if its id is taken by other content.
        """
        if await self._store.add_incident(incident, self.taxonomy.id):
            return True
        stored = await self._store.incident(incident.id)
        if differing := _differences(stored.incident, incident):
            raise _conflict(incident, differing)
        await self._store.request_triage(incident.id)
        return False

    async def accept_many(self, incidents: Sequence[Incident]) -> list[bool | Conflict]:
        """Store incidents to be triaged, each as `accept` does. For each: whether it is new, or its conflict."""
        outcomes: list[bool | Conflict] = []
        for start in range(0, len(incidents), _ACCEPTED_AT_ONCE):
            portion = incidents[start : start + _ACCEPTED_AT_ONCE]
            new = await self._store.add_incidents(portion, self.taxonomy.id)
            times = Counter(each.id for each in portion)
            stored = await self._store.incidents([name for name, n in times.items() if name not in new or n > 1])
            for incident in portion:
                if incident.id in new:
                    new.remove(incident.id)
                    outcomes.append(True)
                    continue
                known = stored[incident.id]
                differing = _differences(known.incident, incident)
                outcomes.append(_conflict(incident, differing) if differing else False)
                if not differing and known.status in ("imported", "failed"):
                    await self._store.request_triage(incident.id)
        return outcomes

    async def annotate(
        self, incident_id: str, annotations: Sequence[Annotation], expected: Labelled | None = None
    ) -> list[Annotation]:
        """Keep annotations of one incident, all or none; if any is gold, the incident is part of the history at once.

        Returns them as stored, with their labels in canonical form. Raises `NotFound`, or `InvalidInput` where a facet
        or label is unknown or a gold child label doesn't fit its parent, or `Outdated` if the incident has got further
        than `expected`.
        """
        incident = (await self._store.incident(incident_id)).incident
        given = [self._canonical(incident_id, annotation) for annotation in annotations]
        async with self._labelling:
            before = await self._store.annotations(incident_id)
            gold = _standing_gold([*before, *given])
            self.taxonomy.validate_labels(gold)
            embedded = await self._embed_missing([incident]) if gold else {}
            kept = await self._store.record(
                given, fingerprint=self._embedder.fingerprint, embedded=embedded, is_given_here=True, expected=expected
            )
            if gold or _standing_gold(before):
                await self._index([incident])
        return kept

    async def import_history(
        self,
        records: Sequence[tuple[Incident, Labels]],
        annotator: str,
        origin: Origin,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Bring labelled incidents in as history. A second time it changes nothing and costs little.

        `progress` is called with how many of `records` are done. Raises `InvalidInput` for an unknown label before
        anything is stored, and `Conflict` for an id under which someone posted another incident.
        """
        checked = [(incident, self.taxonomy.validate_labels(labels)) for incident, labels in records]
        for start in range(0, len(checked), _BATCH):
            await self._import_batch(checked[start : start + _BATCH], annotator, origin)
            if progress is not None:
                progress(min(start + _BATCH, len(checked)))

    async def import_annotations(
        self, annotations: Sequence[Annotation], incidents: Mapping[str, Incident] | None = None
    ) -> int:
        """Keep annotations made elsewhere, all or none; returns how many of them are new.

        Those of `incidents` that are not stored come in with them, and are not triaged. Raises `NotFound` for an
        incident that is neither stored nor among these, and `InvalidInput` for labels that can't be gold together.
        """
        given = [self._canonical(annotation.incident_id, annotation) for annotation in annotations]
        ids = list(dict.fromkeys(annotation.incident_id for annotation in given))
        stored = await self._store.incidents(ids)
        new = {key: incident for key, incident in (incidents or {}).items() if key in ids and key not in stored}
        if missing := [key for key in ids if key not in stored and key not in new]:
            raise NotFound(f"There is no incident {', '.join(map(repr, missing[:10]))}.", incident_ids=missing)
        known = {key: entry.incident for key, entry in stored.items()} | new
        async with self._labelling:
            before = await self._store.annotations_of(ids)
            after = {key: list(annotations) for key, annotations in before.items()}
            for annotation in given:
                after[annotation.incident_id].append(annotation)
            gold = {}
            for key, labels in ((key, _standing_gold(after[key])) for key in ids):
                try:
                    gold[key] = self.taxonomy.validate_labels(labels)
                except InvalidInput as error:
                    raise InvalidInput(f"Incident {key!r}: {error.detail}", **error.data) from error
            embedded = await self._embed_missing([known[key] for key in ids if gold[key]])
            kept = await self._store.record(
                given,
                imported=new,
                taxonomy=self.taxonomy.id,
                fingerprint=self._embedder.fingerprint,
                embedded=embedded,
            )
            await self._index([known[key] for key in ids if gold[key] or _standing_gold(before[key])])
        return len({each.id for each in kept} - {each.id for of_one in before.values() for each in of_one})

    async def search(self, text: str, k: int, as_of: datetime | None = None) -> list[Neighbour]:
        """The `k` incidents of the history most similar to `text`, best first; with `as_of` those that began before."""
        redacted = await asyncio.to_thread(self._redactor.redact, text)
        vector = (await self._embedder.embed([redacted.text]))[0]
        return await self._history.neighbours(redacted.text, vector, k, as_of=as_of)

    async def verify_index(self) -> bool:
        """True if the index holds exactly the incidents that have gold labels, with those labels."""
        return await self._history.labels() == await self._store.gold(await self._store.gold_ids())

    async def rebuild_index(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Empty the index and fill it from the store; returns how many incidents it then holds.

        Vectors come from the store; those that this embedder never made are made now and kept. `progress` is called
        with how many are done and how many there are.
        """
        async with self._labelling:
            total, done = len(await self._store.gold_ids()), 0
            await self._history.clear()
            async for portion in self._store.history(chunk=_BATCH):
                incidents = [incident for incident, _ in portion]
                await self._store.save_vectors(self._embedder.fingerprint, await self._embed_missing(incidents))
                await self._index(incidents)
                done += len(portion)
                if progress is not None:
                    progress(done, total)
            return done

    async def index_size(self) -> int:
        """How many incidents can be found by `search`."""
        return await self._history.size()

    async def _import_batch(self, records: Sequence[tuple[Incident, Labels]], annotator: str, origin: Origin) -> None:
        stored = await self._store.incidents([incident.id for incident, _ in records])
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
        async with self._labelling:
            embedded = await self._embed_missing([incident for incident, _ in records], anew=imported)
            await self._store.record(
                given,
                imported=imported,
                taxonomy=self.taxonomy.id,
                fingerprint=self._embedder.fingerprint,
                embedded=embedded,
            )
            await self._index([incident for incident, _ in records])

    def _canonical(self, incident_id: str, annotation: Annotation) -> Annotation:
        labels = self.taxonomy.canonical(annotation.facet, annotation.labels)
        if annotation.origin == "human" and annotation.annotator.startswith("model:"):
            raise InvalidInput(
                f"Annotator {annotation.annotator!r} is named like a model but given as a person.", field="annotator"
            )
        return annotation.model_copy(update={"incident_id": incident_id, "labels": labels})

    async def _embed_missing(self, incidents: Sequence[Incident], anew: Collection[str] = ()) -> dict[str, Vectors]:
        """Vectors of those incidents that have none of this embedder, and of those with an id in `anew`."""
        known = await self._store.vectors(self._embedder.fingerprint, [incident.id for incident in incidents])
        missing = [incident for incident in incidents if incident.id not in known or incident.id in anew]
        if not missing:
            return {}
        made = await self._embedder.embed(await self._redacted(incident.text for incident in missing))
        return {incident.id: vector for incident, vector in zip(missing, made, strict=True)}

    async def _index(self, incidents: Sequence[Incident]) -> None:
        """Bring the index in line with the store for these incidents: in with their gold labels, or out without."""
        ids = [incident.id for incident in incidents]
        gold = await self._store.gold(ids)
        vectors = await self._store.vectors(self._embedder.fingerprint, [key for key in ids if key in gold])
        labelled = [incident for incident in incidents if incident.id in gold]
        if labelled:
            titles = await self._redacted(incident.title for incident in labelled)
            write_ups = await self._redacted(incident.write_up for incident in labelled)
            entries = [
                (incident.model_copy(update={"title": title, "write_up": write_up}), gold[incident.id])
                for incident, title, write_up in zip(labelled, titles, write_ups, strict=True)
            ]
            await self._history.remember(entries, np.stack([vectors[incident.id] for incident in labelled]))
        await self._history.forget([key for key in ids if key not in gold])

    async def _redacted(self, texts: Iterable[str]) -> list[str]:
        wanted = list(texts)
        return await asyncio.to_thread(lambda: [self._redactor.redact(text).text for text in wanted])


def _conflict(incident: Incident, differing: Sequence[str]) -> Conflict:
    return Conflict(
        f"Incident {incident.id!r} is stored with another {', '.join(differing)}: give this one an id of its own, or "
        "post it exactly as before.",
        incident_id=incident.id,
        fields=list(differing),
    )


def _differences(stored: Incident, new: Incident) -> list[str]:
    """The fields in which two incidents of one id differ; line ends and outer white space of the texts don't count."""
    return [
        name
        for name in Incident.model_fields
        if getattr(stored, name) != getattr(new, name)
        and (name not in ("title", "write_up") or _normal(stored, name) != _normal(new, name))
    ]


def _normal(incident: Incident, field: str) -> str:
    return content_id("", getattr(incident, field))


def _standing_gold(annotations: Iterable[Annotation]) -> Labels:
    """Gold labels out of one incident's annotations, oldest first, by the same rule as `Store.gold`."""
    by_rank = sorted(standing(annotations), key=lambda annotation: annotation.origin == "human")
    return {annotation.facet: annotation.labels for annotation in by_rank if annotation.is_gold}
