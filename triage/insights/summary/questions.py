"""What is not known of an incident, and what would settle it."""

from __future__ import annotations

from collections.abc import Iterator

from triage.insights.summary.material import Material, Said
from triage.insights.summary.quotes import impact, timed
from triage.insights.summary.wording import teller, text
from triage.render.markdown import code, plain

_TIMES = {
    "started_at": "When did it start? Without that there is no time to detect and none to mitigate.",
    "detected_at": "When was it detected? Without that there is no time to detect.",
}


def questions(material: Material) -> list[str]:
    """The open questions, as a list."""
    asked = [
        *_undecided(material),
        *_times(material),
        *_detection(material),
        *_rest(material),
        *_unconfirmed(material),
    ]
    lines = [f"- {question}" for question in asked] or ["None that the labels and times leave open."]
    return ["## Open questions", "", *lines, ""]


def _undecided(material: Material) -> Iterator[str]:
    for said in material.said.values():
        name = plain(material.names.facet(said.facet))
        if said.are_people_at_odds:
            opinions = (
                f"{plain(material.names.labels(said.facet, one.labels))} ({teller(one)})" for one in said.people
            )
            yield f"{name}: which is right, {' or '.join(opinions)}? Settle it on the page `/label/adjudicate`."
        elif said.triage is not None and not said.labels:
            yield f"{name}: which is it? {text(said.triage.abstention or 'The triage gave no label.', 600)}"


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
    said = material.detection
    if said is not None and said.labels and not material.is_told(said.facet, said.labels):
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
    waiting = [said for said in material.said.values() if _waits(said)]
    if waiting:
        names = ", ".join(plain(material.names.facet(said.facet)).lower() for said in waiting)
        place = f"/v1/incidents/{material.incident.id}/annotations"
        yield f"Is the triage right? No person has confirmed or corrected: {names}. Do it at {code(f'POST {place}')}."


def _waits(said: Said) -> bool:
    return said.triage is not None and bool(said.triage.labels) and not said.people and said.gold is None
