"""What happened with one incident, out there and in the service, in the order in which it happened."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from triage.domain.annotation import Annotation
from triage.store import Made, Notification, StoredIncident

Kind = Literal["incident", "service", "label", "notification"]

_TIMES = {"started_at": "Started", "detected_at": "Detected", "mitigated_at": "Mitigated", "resolved_at": "Resolved"}
_GIVEN = {"human": "Labelled", "model": "Labelled by a model", "derived": "Label derived"}
_TOLD = {"triaged": "the triage", "failed": "the failure", "corrected": "a correction"}
# What one person says of several facets at once comes in one request, or in a few behind each other.
_AT_ONCE = timedelta(minutes=1)


class Event(NamedTuple):
    """Something that happened. `given` are the labels that somebody gave then, `who` that person or model."""

    at: datetime
    kind: Kind
    what: str
    who: str = ""
    detail: str = ""
    given: tuple[Annotation, ...] = ()
    is_bad: bool = False


def timeline(
    stored: StoredIncident,
    triages: Iterable[Made],
    annotations: Sequence[Annotation],
    notifications: Iterable[Notification] = (),
) -> list[Event]:
    """All events, oldest first, as `annotations` are too. Of failed attempts only the last one's reason is kept."""
    incident = stored.incident
    happened = [
        Event(at, "incident", what) for field, what in _TIMES.items() if (at := getattr(incident, field)) is not None
    ]
    source = f"from {incident.source}" if incident.source else ""
    came_in = "Came in with its labels, as history" if stored.status == "imported" else "Received"
    happened.append(Event(stored.created_at, "service", came_in, detail=source))
    if stored.failure is not None:
        happened.append(_failure(stored))
    happened += [_triaged(made) for made in triages]
    happened += [_labelled(list(given)) for given in _at_once(annotations)]
    happened += [_told(one) for one in notifications]
    return sorted(happened, key=lambda event: event.at)


def _failure(stored: StoredIncident) -> Event:
    """The last failure; once it is tried again, that it is: only the latest change of an incident has its moment."""
    failed = f"attempt {stored.attempts} failed"
    what = f"Tried again after {failed}" if stored.status == "pending" else failed.capitalize()
    return Event(stored.updated_at, "service", what, detail=stored.failure or "", is_bad=True)


def _triaged(made: Made) -> Event:
    triage = made.triage
    model = triage.provenance.model or ""
    return Event(
        triage.created_at,
        "service",
        "Triaged, degraded" if triage.degraded else "Triaged",
        who=model if not triage.degraded else "",
        detail=triage.degraded_reason or "",
        is_bad=triage.degraded,
    )


def _at_once(annotations: Sequence[Annotation]) -> Iterable[list[Annotation]]:
    """Annotations that one annotator gave in one go."""
    for _, given in itertools.groupby(annotations, key=lambda one: (one.annotator, one.origin, one.is_adjudication)):
        portion: list[Annotation] = []
        for one in given:
            if portion and one.created_at - portion[0].created_at > _AT_ONCE:
                yield portion
                portion = []
            portion.append(one)
        yield portion


def _labelled(given: list[Annotation]) -> Event:
    first = given[0]
    what = "Adjudicated" if first.is_adjudication else _GIVEN[first.origin]
    notes = dict.fromkeys(one.note for one in given if one.note)
    return Event(first.created_at, "label", what, first.annotator, " ".join(notes), tuple(given))


def _told(one: Notification) -> Event:
    """Who was told, or is to be; the subscription by its id, for its address may hold a secret."""
    about = _TOLD.get(one.event, one.event)
    if one.state == "delivered":
        what = f"Told a subscriber of {about}"
    elif one.state == "failed":
        what = f"Could not tell a subscriber of {about}"
    else:
        what = f"A subscriber is to be told of {about}"
    at = one.delivered_at or one.created_at
    whom = f"subscription {one.subscription_id}"
    return Event(at, "notification", what, whom, one.failure or "", is_bad=one.state == "failed")
