"""The preview of a correction: recent incidents, decided without it and with it by the pipeline's own decision."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from triage.domain.annotation import Annotation, agreed_by_people
from triage.domain.correction_preview import ChangedIncident, NotCompared, Preview
from triage.domain.incident import Incident
from triage.domain.principal import SHARED_TEAM
from triage.domain.triage_result import Triage
from triage.history.casebook import Casebook, Foreseen
from triage.history.retrieval import DEFAULT_RANKING, Ranking
from triage.history.text_cache import cached_by_text
from triage.labels.preview.changes import changes_of
from triage.labels.preview.supposition import Heard, Reread, Supposition
from triage.models.embedding import Vectors, normalise
from triage.pipeline.classification.instructions import readable_text
from triage.pipeline.classification.likeness import Moves
from triage.pipeline.pipeline import MadeOtherwise, Pipeline
from triage.store import Store

_EMBEDDED_AT_ONCE = 8
_KEPT_VECTORS = 2_000
_NO_GOLD = "The labels are not gold, or are what is gold already: the history would stay as it is."
_MODEL_AS_IT_WAS = "Models are not asked again: what they said is taken from each stored triage."


class PreviewOptions(NamedTuple):
    """What is looked at: incidents triaged in the last `days`, at most the `most` latest ones.

    A probability has to move by `least_shift` to be told of. After `seconds` no more is begun that can be left out:
    embedding incidents that have no vector, and training classifiers for one incident alone.
    """

    days: float = 30.0
    most: int = 200
    least_shift: float = 0.05
    seconds: float = 2.0


DEFAULT_OPTIONS = PreviewOptions()


class _Triaged(NamedTuple):
    """A recent incident with its latest triage."""

    incident: Incident
    team: str
    triage: Triage


class Previewer:
    """Previews corrections, one at a time. `ranking` is that of the history's neighbours."""

    def __init__(
        self, store: Store, casebook: Casebook, pipeline: Pipeline, ranking: Ranking = DEFAULT_RANKING
    ) -> None:
        self._store = store
        self._casebook = casebook
        self._pipeline = pipeline
        self._ranking = ranking
        self._redacted = cached_by_text(lambda text: pipeline.redactor.redact(text).text)
        self._vectors: OrderedDict[tuple[str, int], Vectors] = OrderedDict()
        self._turn = asyncio.Lock()

    async def preview(
        self,
        incident_id: str,
        annotations: Sequence[Annotation],
        teams: Collection[str] | None = None,
        options: PreviewOptions = DEFAULT_OPTIONS,
    ) -> Preview:
        """What these annotations of an incident would change in others, of these teams (None: of all).

        Raises what `Casebook.annotate` would raise.
        """
        async with self._turn:
            began = time.monotonic()
            foreseen = await self._casebook.foresee(incident_id, annotations)
            since = datetime.now(UTC) - timedelta(days=options.days)
            told = Preview(
                incident_id=incident_id,
                labels_before=foreseen.before,
                labels_after=foreseen.after,
                since=since,
                looked_at=0,
                notes=(_MODEL_AS_IT_WAS,),
            )
            if not foreseen.changed:
                return told.model_copy(update={"notes": (_NO_GOLD,)})
            recent = await self._recent(incident_id, foreseen, teams, since, options.most)
            found = await self._look(foreseen, recent, options, began + options.seconds)
            return told.model_copy(update={**found, "seconds": round(time.monotonic() - began, 3)})

    async def _recent(
        self, incident_id: str, foreseen: Foreseen, teams: Collection[str] | None, since: datetime, most: int
    ) -> list[_Triaged]:
        """The recent incidents of those teams that see the corrected one in their history."""
        reached = None if foreseen.team == SHARED_TEAM else {foreseen.team}
        if reached is not None and teams is not None:
            reached &= set(teams)
        seen = teams if reached is None else reached
        recent = await self._store.triages.list_recent(self._pipeline.taxonomy.id, since, most + 1, seen)
        others = [one for one in recent if one.incident.id != incident_id][:most]
        return await asyncio.to_thread(
            lambda: [_Triaged(o.incident, o.team, Triage.model_validate_json(o.document)) for o in others]
        )

    async def _look(
        self, foreseen: Foreseen, recent: Sequence[_Triaged], options: PreviewOptions, end: float
    ) -> dict[str, object]:
        comparable, not_compared = self._comparable(recent)
        reread = await self._reread(comparable, foreseen.example.vector, end)
        people = await self._store.annotations.list_many([one.incident.id for one in reread])
        reached: list[str] = []
        changed: list[ChangedIncident] = []
        history = 0
        for team in dict.fromkeys(one.team for one in reread):
            mine = [one for one in reread if one.team == team]
            supposition, heard = await self._suppose(foreseen, team, mine, end)
            history = max(history, supposition.size)
            told = [(one, both) for one, both in zip(mine, heard, strict=True) if both is not None]
            reached += [one.incident.id for one, _ in told]
            changed += await asyncio.to_thread(self._changed, told, people, options.least_shift)
        compared = set(reached)
        changed.sort(key=lambda one: (not one.has_other_labels, -one.similarity, one.incident_id))
        return {
            "looked_at": len(reached),
            "incidents": tuple(changed),
            "not_compared": tuple(not_compared),
            "not_reached": tuple(one.incident.id for one in comparable if one.incident.id not in compared),
            "history": history,
        }

    def _changed(
        self,
        told: Sequence[tuple[Reread, tuple[Heard, Heard]]],
        people: Mapping[str, Sequence[Annotation]],
        least_shift: float,
    ) -> list[ChangedIncident]:
        """Those that are decided otherwise with the correction than without it."""
        facets = {facet.id: facet for facet in self._pipeline.taxonomy.triaged}
        found = []
        for one, both in told:
            before, after = (self._pipeline.decide_again(one.triage, said.neighbours, said.learned) for said in both)
            words = agreed_by_people(people[one.incident.id])
            if changes := changes_of(facets, one.triage, before, after, words, least_shift):
                found.append(
                    ChangedIncident(
                        incident_id=one.incident.id,
                        title=one.incident.title,
                        url=one.incident.url,
                        similarity=round(one.similarity, 4),
                        triaged_at=one.triage.created_at,
                        changes=changes,
                    )
                )
        return found

    async def _suppose(
        self, foreseen: Foreseen, team: str, incidents: Sequence[Reread], end: float
    ) -> tuple[Supposition, list[tuple[Heard, Heard] | None]]:
        """What a team's history says of its incidents without and with the correction."""
        examples = await self._pipeline.history.examples("", teams={team, SHARED_TEAM})
        supposition = await asyncio.to_thread(
            Supposition, self._pipeline.taxonomy, examples, foreseen, self._pipeline.neighbours, self._ranking
        )
        hidden = []
        for one in incidents:
            seen = await self._pipeline.history.examples(
                one.text, exclude={one.incident.id}, duplicates=False, teams={team, SHARED_TEAM}
            )
            hidden.append(supposition.hidden(one.text, one.incident.id, seen))
            # Each takes about a millisecond: let others have their turn in between.
            await asyncio.sleep(0)
        known: dict[tuple[tuple[str, ...], tuple[str, ...]], Moves] = {}
        moves: list[Moves | None] = []
        for places in hidden:
            pair = supposition.references(places)
            if pair is None:
                moves.append(None)
                continue
            key = (tuple(e.incident_id for e in pair[0]), tuple(e.incident_id for e in pair[1]))
            if key not in known:
                known[key] = await self._pipeline.definitions.difference(*pair)
            moves.append(known[key])
        heard = await asyncio.to_thread(supposition.say, incidents, hidden, moves, lambda: time.monotonic() < end)
        return supposition, heard

    def _comparable(self, recent: Sequence[_Triaged]) -> tuple[list[_Triaged], list[NotCompared]]:
        """Those whose triage can be decided again, and why the others can't."""
        comparable: list[_Triaged] = []
        others: dict[str, list[str]] = {}
        for one in recent:
            try:
                self._pipeline.rules_of(one.triage)
                comparable.append(one)
            except MadeOtherwise as error:
                others.setdefault(error.detail, []).append(one.incident.id)
        return comparable, [NotCompared(reason=why, incidents=tuple(ids)) for why, ids in others.items()]

    async def _reread(self, recent: Sequence[_Triaged], vector: Vectors, end: float) -> list[Reread]:
        """The incidents with the text and the vector of then, nearest first; without those that time did not allow."""
        texts = await asyncio.to_thread(lambda: [self._text(one) for one in recent])
        whole = [one.incident.id for one in recent if not one.triage.provenance.withheld_sentences]
        stored = await self._store.vectors.find_many(self._pipeline.embedder.fingerprint, whole)
        vectors = dict(stored)
        missing = {
            one.incident.id: text for one, text in zip(recent, texts, strict=True) if one.incident.id not in stored
        }
        vectors |= await self._embed(missing, end)
        found = [
            Reread(one.incident, one.team, one.triage, text, mine, float(normalise(mine) @ normalise(vector)))
            for one, text in zip(recent, texts, strict=True)
            if (mine := vectors.get(one.incident.id)) is not None
        ]
        return sorted(found, key=lambda one: (-one.similarity, one.incident.id))

    def _text(self, one: _Triaged) -> str:
        """What was embedded and learned from when the incident was triaged."""
        redacted = self._redacted(one.incident.text)
        if not one.triage.provenance.withheld_sentences:
            return redacted
        return readable_text(redacted, self._pipeline.taxonomy).text

    async def _embed(self, texts: Mapping[str, str], end: float) -> dict[str, Vectors]:
        """Vectors of incidents (id -> text) that have none, or none of what was read: as many as there is time for."""
        keys = {incident_id: (incident_id, hash(text)) for incident_id, text in texts.items()}
        missing = [incident_id for incident_id, key in keys.items() if key not in self._vectors]
        for start in range(0, len(missing), _EMBEDDED_AT_ONCE):
            if time.monotonic() >= end:
                break
            some = missing[start : start + _EMBEDDED_AT_ONCE]
            made = await self._pipeline.embedder.embed([texts[incident_id] for incident_id in some])
            self._vectors |= {keys[incident_id]: vector for incident_id, vector in zip(some, made, strict=True)}
        found = {incident_id: self._vectors[key] for incident_id, key in keys.items() if key in self._vectors}
        while len(self._vectors) > _KEPT_VECTORS:
            self._vectors.popitem(last=False)
        return found
