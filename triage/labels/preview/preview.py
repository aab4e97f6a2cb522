"""The preview of a correction: recent incidents, decided without it and with it by the pipeline's own decision."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from triage.domain.annotation import Annotation, agreed_by_people
from triage.domain.correction_preview import ChangedIncident, Direction, FacetChange, Kind, NotCompared, Preview
from triage.domain.incident import Incident
from triage.domain.lines import clean_text
from triage.domain.principal import SHARED_TEAM
from triage.domain.taxonomy import Facet
from triage.domain.triage_result import FacetResult, Triage
from triage.history.casebook import Casebook, Foreseen
from triage.history.retrieval import DEFAULT_RANKING, Ranking
from triage.history.text_cache import cached_by_text
from triage.labels.preview.hypothetical_history import HistoryEvidence, HypotheticalHistory, RereadIncident
from triage.models.embedding import Vectors, normalise
from triage.pipeline.classification.instructions import readable_text
from triage.pipeline.classification.likeness import Moves
from triage.pipeline.pipeline import MadeOtherwise, Pipeline
from triage.store import Store

_EMBEDDED_AT_ONCE = 8
_MOST_CACHED_VECTORS = 2_000
_NO_GOLD = "The labels are not gold, or are what is gold already: the history would stay as it is."
_MODEL_AS_IT_WAS = "Models are not asked again: what they said is taken from each stored triage."


class PreviewOptions(NamedTuple):
    """Which incidents are compared: the `most` latest of those triaged in the last `days`.

    Smaller probability changes than `least_shift` are ignored. After `seconds` no optional work starts: embedding
    incidents that have no vector, and training classifiers for a single incident.
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
            preview = Preview(
                incident_id=incident_id,
                labels_before=foreseen.before,
                labels_after=foreseen.after,
                since=since,
                looked_at=0,
                notes=(_MODEL_AS_IT_WAS,),
            )
            if not foreseen.changed:
                return preview.model_copy(update={"notes": (_NO_GOLD,)})
            recent = await self._recent(incident_id, foreseen, teams, since, options.most)
            compared = await self._compare(foreseen, recent, options, began + options.seconds)
            return preview.model_copy(update={**compared, "seconds": round(time.monotonic() - began, 3)})

    async def _recent(
        self, incident_id: str, foreseen: Foreseen, teams: Collection[str] | None, since: datetime, most: int
    ) -> list[_Triaged]:
        """The recent incidents of teams that have the corrected incident in their history."""
        affected = None if foreseen.team == SHARED_TEAM else {foreseen.team}
        if affected is not None and teams is not None:
            affected &= set(teams)
        seen = teams if affected is None else affected
        recent = await self._store.triages.list_recent(self._pipeline.taxonomy.id, since, most + 1, seen)
        others = [triaged for triaged in recent if triaged.incident.id != incident_id][:most]
        return await asyncio.to_thread(
            lambda: [_Triaged(o.incident, o.team, Triage.model_validate_json(o.document)) for o in others]
        )

    async def _compare(
        self, foreseen: Foreseen, recent: Sequence[_Triaged], options: PreviewOptions, end: float
    ) -> dict[str, object]:
        comparable, not_compared = self._comparable(recent)
        reread = await self._reread(comparable, foreseen.example.vector, end)
        people = await self._store.annotations.list_many([incident.incident.id for incident in reread])
        reached: list[str] = []
        changed: list[ChangedIncident] = []
        history = 0
        for team in dict.fromkeys(incident.team for incident in reread):
            mine = [incident for incident in reread if incident.team == team]
            hypothetical, evidences = await self._suppose(foreseen, team, mine, end)
            history = max(history, hypothetical.size)
            pairs = [(each, evidence) for each, evidence in zip(mine, evidences, strict=True) if evidence is not None]
            reached += [incident.incident.id for incident, _ in pairs]
            changed += await asyncio.to_thread(self._changed, pairs, people, options.least_shift)
        compared = set(reached)
        changed.sort(key=lambda incident: (not incident.has_other_labels, -incident.similarity, incident.incident_id))
        return {
            "looked_at": len(reached),
            "incidents": tuple(changed),
            "not_compared": tuple(not_compared),
            "not_reached": tuple(each.incident.id for each in comparable if each.incident.id not in compared),
            "history": history,
        }

    def _changed(
        self,
        compared: Sequence[tuple[RereadIncident, tuple[HistoryEvidence, HistoryEvidence]]],
        people: Mapping[str, Sequence[Annotation]],
        least_shift: float,
    ) -> list[ChangedIncident]:
        """The incidents that are decided differently with the correction."""
        facets = {facet.id: facet for facet in self._pipeline.taxonomy.triaged}
        changed = []
        for incident, evidence in compared:
            before, after = (
                self._pipeline.decide_again(incident.triage, side.neighbours, side.learned) for side in evidence
            )
            people_labels = agreed_by_people(people[incident.incident.id])
            if changes := changes_of(facets, incident.triage, before, after, people_labels, least_shift):
                changed.append(
                    ChangedIncident(
                        incident_id=incident.incident.id,
                        title=incident.incident.title,
                        url=incident.incident.url,
                        similarity=round(incident.similarity, 4),
                        triaged_at=incident.triage.created_at,
                        changes=changes,
                    )
                )
        return changed

    async def _suppose(
        self, foreseen: Foreseen, team: str, incidents: Sequence[RereadIncident], end: float
    ) -> tuple[HypotheticalHistory, list[tuple[HistoryEvidence, HistoryEvidence] | None]]:
        """The evidence of a team's history for its incidents, without and with the correction."""
        examples = await self._pipeline.history.examples("", teams={team, SHARED_TEAM})
        hypothetical = await asyncio.to_thread(
            HypotheticalHistory, self._pipeline.taxonomy, examples, foreseen, self._pipeline.neighbours, self._ranking
        )
        hidden = []
        for incident in incidents:
            seen = await self._pipeline.history.examples(
                incident.text, exclude={incident.incident.id}, duplicates=False, teams={team, SHARED_TEAM}
            )
            hidden.append(hypothetical.hidden(incident.text, incident.incident.id, seen))
            # Each takes about a millisecond: yield to other tasks in between.
            await asyncio.sleep(0)
        known: dict[tuple[tuple[str, ...], tuple[str, ...]], Moves] = {}
        moves: list[Moves | None] = []
        for places in hidden:
            pair = hypothetical.references(places)
            if pair is None:
                moves.append(None)
                continue
            key = (tuple(e.incident_id for e in pair[0]), tuple(e.incident_id for e in pair[1]))
            if key not in known:
                known[key] = await self._pipeline.definitions.difference(*pair)
            moves.append(known[key])
        evidences = await asyncio.to_thread(
            hypothetical.evidence_for, incidents, hidden, moves, lambda: time.monotonic() < end
        )
        return hypothetical, evidences

    def _comparable(self, recent: Sequence[_Triaged]) -> tuple[list[_Triaged], list[NotCompared]]:
        """The incidents whose triage can be decided again, and why the others can't."""
        comparable: list[_Triaged] = []
        others: dict[str, list[str]] = {}
        for incident in recent:
            try:
                self._pipeline.rules_of(incident.triage)
                comparable.append(incident)
            except MadeOtherwise as error:
                others.setdefault(error.detail, []).append(incident.incident.id)
        return comparable, [NotCompared(reason=reason, incidents=tuple(ids)) for reason, ids in others.items()]

    async def _reread(self, recent: Sequence[_Triaged], vector: Vectors, end: float) -> list[RereadIncident]:
        """The incidents with the text and vector of their triage, nearest first; without those that there was no time
        for."""
        texts = await asyncio.to_thread(lambda: [self._text(incident) for incident in recent])
        whole = [incident.incident.id for incident in recent if not incident.triage.provenance.withheld_sentences]
        stored = await self._store.vectors.find_many(self._pipeline.embedder.fingerprint, whole)
        known = {incident.incident.id: text for incident, text in zip(recent, texts, strict=True)}
        missing = {key: text for key, text in known.items() if key not in stored}
        vectors = {**stored, **await self._embed(missing, end)}
        incidents = [
            RereadIncident(*incident, text, mine, float(normalise(mine) @ normalise(vector)))
            for incident, text in zip(recent, texts, strict=True)
            if (mine := vectors.get(incident.incident.id)) is not None
        ]
        return sorted(incidents, key=lambda incident: (-incident.similarity, incident.incident.id))

    def _text(self, incident: _Triaged) -> str:
        """The text that was embedded and learned from when the incident was triaged."""
        redacted = self._redacted(incident.incident.text)
        if not incident.triage.provenance.withheld_sentences:
            return clean_text(redacted)
        return readable_text(redacted, self._pipeline.taxonomy).text

    async def _embed(self, texts: Mapping[str, str], end: float) -> dict[str, Vectors]:
        """Vectors of incidents (id -> text) without a stored one, as many as time allows."""
        keys = {incident_id: (incident_id, hash(text)) for incident_id, text in texts.items()}
        missing = [incident_id for incident_id, key in keys.items() if key not in self._vectors]
        for start in range(0, len(missing), _EMBEDDED_AT_ONCE):
            if time.monotonic() >= end:
                break
            some = missing[start : start + _EMBEDDED_AT_ONCE]
            made = await self._pipeline.embedder.embed([texts[incident_id] for incident_id in some])
            self._vectors |= {keys[incident_id]: vector for incident_id, vector in zip(some, made, strict=True)}
        vectors = {incident_id: self._vectors[key] for incident_id, key in keys.items() if key in self._vectors}
        while len(self._vectors) > _MOST_CACHED_VECTORS:
            self._vectors.popitem(last=False)
        return vectors


def changes_of(
    facets: Mapping[str, Facet],
    triage: Triage,
    before: Mapping[str, FacetResult],
    after: Mapping[str, FacetResult],
    people: Mapping[str, Annotation],
    least_shift: float,
) -> tuple[FacetChange, ...]:
    """The facets that would be decided differently, or whose probability would move by at least `least_shift`."""
    changes = []
    for facet_id, old in before.items():
        new = after[facet_id]
        kind = _kind(old, new, least_shift)
        if kind is None:
            continue
        person = people[facet_id].labels if facet_id in people else ()
        stored = triage.facets.get(facet_id)
        changes.append(
            FacetChange(
                facet=facet_id,
                kind=kind,
                triaged=stored.labels if stored else (),
                before=old.labels,
                after=new.labels,
                likeliest_before=_likeliest(old),
                likeliest_after=_likeliest(new),
                probability_before=old.probability,
                probability_after=new.probability,
                person=person,
                direction=_direction(facets[facet_id], person, old, new) if person else None,
            )
        )
    return tuple(changes)


def _kind(old: FacetResult, new: FacetResult, least_shift: float) -> Kind | None:
    if old.labels != new.labels:
        return "starts abstaining" if not new.labels else "stops abstaining" if not old.labels else "label"
    shift = abs((old.probability or 0.0) - (new.probability or 0.0))
    is_other = _likeliest(old) != _likeliest(new)
    return "probability" if is_other or shift >= least_shift else None


def _direction(facet: Facet, person: tuple[str, ...], old: FacetResult, new: FacetResult) -> Direction:
    """Whether the change leads towards the person's label: by the labels, or on a tie by its probability."""
    gain = _likeness(facet, person, new.labels) - _likeness(facet, person, old.labels)
    if not gain:
        gain = _probability(new, person[0]) - _probability(old, person[0])
    return "towards" if gain > 0 else "away" if gain < 0 else "neither"


def _likeness(facet: Facet, person: tuple[str, ...], labels: tuple[str, ...]) -> float:
    if facet.cardinality == "multi":
        return len({*person} & {*labels}) / len({*person} | {*labels})
    return float(labels[:1] == person[:1])


def _probability(result: FacetResult, label: str) -> float:
    return next((entry.probability for entry in result.distribution if entry.label == label), 0.0)


def _likeliest(result: FacetResult) -> str | None:
    return next((entry.label for entry in result.distribution), None) if not result.labels else result.labels[0]
