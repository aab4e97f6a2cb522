"""The summary, section by section. All text from outside goes through `triage.render.markdown`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from triage.domain.taxonomy import Taxonomy
from triage.insights.study.roles import Roles
from triage.insights.summary.label_sections import classified, ended, opinions, similar
from triage.insights.summary.material import Material
from triage.insights.summary.quotes import impact, moment, quoted, text, timed
from triage.insights.timeline import Event, timeline
from triage.redaction import Redactor
from triage.render.markdown import code, link, plain
from triage.render.quantities import duration
from triage.store import Store

_TITLE_CHARACTERS = 200
_DETAIL_CHARACTERS = 300
_MOST_TIMES = 20
_DRAFT = (
    "> **Draft.** Put together from recorded times, labels and quotes; no sentence of it was written by a model. Check "
    "every line before you share it, and replace what is wrong or missing."
)
_FOLLOW_UP = ["## Follow-up", "", "What is to be done, by whom, until when:", "", *["- [ ] "] * 3, ""]
_DEGRADED = "> **The triage is degraded**, trust its labels less: see where this comes from, at the end."


async def read_summary(store: Store, incident_id: str, taxonomy: Taxonomy, roles: Roles) -> str:
    """The draft summary of a stored incident. Raises `NotFound`."""
    material = await Material.read(store, incident_id, taxonomy, roles, Redactor())
    return await asyncio.to_thread(summary, material)


def summary(material: Material) -> str:
    """The draft summary in Markdown; it contains only recorded facts and quotes.

    The same material gives the same text. Quotes are redacted. Text from outside is escaped: no HTML, and no links
    except to the incidents' own addresses.
    """
    parts = (
        _head(material),
        _impact(material),
        _timeline(material),
        classified(material),
        ended(material),
        similar(material),
        questions(material),
        _FOLLOW_UP,
        _provenance(material),
    )
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def _head(material: Material) -> list[str]:
    incident, stored = material.incident, material.stored
    facts = {
        "Incident": link(incident.id, incident.url) if incident.url else code(incident.id),
        "Status": _status(material),
        "Severity": text(incident.severity, _TITLE_CHARACTERS) or "not recorded",
        "Service": text(incident.service, _TITLE_CHARACTERS),
        "Team": "" if stored.team == "default" else plain(stored.team),
        "Time to detect": "not known" if incident.ttd_minutes is None else duration(incident.ttd_minutes),
        "Time to mitigate": _ttm(material),
    }
    lines = [f"- **{name}:** {value}" for name, value in facts.items() if value]
    degraded = [_DEGRADED, ""] if material.triage and material.triage.degraded else []
    return [f"# {text(material.title, _TITLE_CHARACTERS)}", "", _DRAFT, "", *degraded, *lines, ""]


def _status(material: Material) -> str:
    incident = material.incident
    if incident.resolved_at is not None:
        return f"resolved {moment(incident.resolved_at)}"
    if incident.mitigated_at is not None:
        return f"mitigated {moment(incident.mitigated_at)}, no resolution recorded"
    return "no end recorded"


def _ttm(material: Material) -> str:
    incident = material.incident
    if incident.ttm_minutes is None:
        return "not known"
    until = "" if incident.mitigated_at else ", counted to its resolution"
    return f"{duration(incident.ttm_minutes)}{until}"


def _impact(material: Material) -> list[str]:
    sentences = impact(material.sentences)
    lines = (
        quoted(sentences)
        if sentences
        else ["No sentence of the write-up was found that tells who was affected, and how.", ""]
    )
    return ["## Impact, in the words of the write-up", "", *lines]


def _timeline(material: Material) -> list[str]:
    lines = [_happened(material, event) for event in timeline(material.stored, material.triages, material.annotations)]
    sentences = timed(material.sentences)
    if sentences:
        lines += ["", "Times of day in the write-up, in its order:", ""]
        lines += [f"- “{text(sentence)}”" for sentence in sentences[:_MOST_TIMES]]
        lines += [f"- and {len(sentences) - _MOST_TIMES} more"] if len(sentences) > _MOST_TIMES else []
    return ["## Timeline", "", *lines, ""]


def _happened(material: Material, event: Event) -> str:
    actor = f" by {plain(event.actor)}" if event.actor else ""
    names = material.names
    labels = "; ".join(
        f"{plain(names.facet(annotation.facet)).lower()}: {plain(names.labels(annotation.facet, annotation.answer))}"
        + (" (gold)" if annotation.is_gold else "")
        for annotation in event.labels
    )
    detail = text(material.redactor.redact(event.detail).text, _DETAIL_CHARACTERS)
    note = f". Note: “{detail}”" if event.labels else f", {detail}"
    return f"- {moment(event.at)}: {event.what}{actor}{f': {labels}' if labels else ''}{note if detail else ''}"


def _provenance(material: Material) -> list[str]:
    triage, stored = material.triage, material.stored
    lines = ["## Where this comes from", ""]
    if triage is None:
        why = f": {text(stored.failure)}" if stored.failure else ""
        return [*lines, f"It has no triage (status {stored.status}){why}", ""]
    made = triage.provenance
    results = triage.facets.values()
    calibrated = [result for result in results if result.is_calibrated]
    how = "calibrated" if len(calibrated) == len(triage.facets) else "partly calibrated" if calibrated else ""
    facts = [
        f"Triaged {moment(triage.created_at)} with {code(made.model or 'no model')}, taxonomy "
        f"{code(f'{made.taxonomy} {made.taxonomy_version}')}, a history of {made.history_size} incidents.",
        f"Degraded: {text(triage.degraded_reason or 'no reason was recorded')}" if triage.degraded else "Not degraded.",
        f"Probabilities are {how}, by {text(made.calibrator or 'a calibrator without a name')}."
        if how
        else "Probabilities are not calibrated: read them as a ranking.",
    ]
    if made.redactions:
        found = ", ".join(f"{count} {plain(kind)}" for kind, count in made.redactions.items())
        facts.append(f"Taken out of the quotes before the triage: {found}.")
    if made.withheld_sentences:
        facts.append(f"{made.withheld_sentences} sentence(s) that read like orders to a model were not shown to it.")
    if made.was_condensed:
        facts.append("The model read a shortened write-up.")
    if made.dropped_quotes:
        facts.append(f"{made.dropped_quotes} quote(s) of the model do not stand in the write-up and were left out.")
    return [*lines, *(f"- {fact}" for fact in facts), ""]


_TIMES = {
    "started_at": "When did it start? Without that there is no time to detect and none to mitigate.",
    "detected_at": "When was it detected? Without that there is no time to detect.",
}


def questions(material: Material) -> list[str]:
    asked = [*_undecided(material), *_times(material), *_detection(material), *_rest(material), *_unconfirmed(material)]
    lines = [f"- {question}" for question in asked] or ["None that the labels and times leave open."]
    return ["## Open questions", "", *lines, ""]


def _undecided(material: Material) -> Iterator[str]:
    for label in material.facet_labels.values():
        name = plain(material.names.facet(label.facet))
        if label.are_people_at_odds:
            people = " or ".join(opinions(material, label))
            yield f"{name}: which is right, {people}? Settle it on the page `/label/adjudicate`."
        elif label.triage is not None and not label.labels and not label.is_untold:
            yield f"{name}: which is it? {text(label.triage.abstention or 'The triage gave no label.', 600)}"


def _times(material: Material) -> Iterator[str]:
    incident = material.incident
    hint = " The write-up names times of day, see the timeline." if timed(material.sentences) else ""
    for field, question in _TIMES.items():
        if getattr(incident, field) is None:
            yield question + hint
    if incident.ttm_minutes == 0:
        yield "Did it end at the moment it started? Both are recorded with one and the same time."
    if incident.mitigated_at is None and incident.resolved_at is None:
        yield f"When did it end? Neither a time of mitigation nor one of resolution is recorded.{hint}"
    elif incident.mitigated_at is None:
        yield "When was it mitigated? Only its resolution is recorded, which the time to mitigate counts to."


def _detection(material: Material) -> Iterator[str]:
    label = material.detection
    if label is not None and label.labels and not material.is_told(label.facet, label.labels):
        yield "How was it detected? The write-up does not tell."


def _rest(material: Material) -> Iterator[str]:
    if not impact(material.sentences):
        yield "Who was affected, and how much? No sentence of the write-up was found that tells."
    mitigation = material.mitigation
    if mitigation is not None and mitigation.labels and not material.is_told(mitigation.facet, mitigation.labels):
        yield "What ended it? The write-up does not tell."
    for neighbour in material.triage.neighbours if material.triage else ():
        if neighbour.is_near_duplicate:
            yield f"Is it the same incident as {code(neighbour.incident_id)}? The texts are nearly the same."


def _unconfirmed(material: Material) -> Iterator[str]:
    waiting = [
        label
        for label in material.facet_labels.values()
        if label.triage is not None and label.triage.labels and not label.people and label.gold is None
    ]
    if waiting:
        names = ", ".join(plain(material.names.facet(label.facet)).lower() for label in waiting)
        place = f"/v1/incidents/{material.incident.id}/annotations"
        yield f"Is the triage right? No person has confirmed or corrected: {names}. Do it at {code(f'POST {place}')}."
