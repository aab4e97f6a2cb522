"""The timeline of one incident: what happened outside and in the service, in order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from triage.domain.annotation import Annotation
from triage.store import Notification, StoredIncident, TriageRun

Kind = Literal["incident", "service", "label", "notification"]

_TIMES = {"started_at": "Started", "detected_at": "Detected", "mitigated_at": "Mitigated", "resolved_at": "Resolved"}
_GIVEN = {"human": "Labelled", "model": "Labelled by a model", "derived": "Label derived"}
_NOTIFIED = {"triaged": "the triage", "failed": "the failure", "corrected": "a correction"}
# Labels of several facets given together arrive in one request, or in a few in quick succession.
_AT_ONCE = timedelta(minutes=1)


class Event(NamedTuple):
    """Something that happened. `labels` were given then; `actor` is the person or model."""

    at: datetime
    kind: Kind
    what: str
    actor: str = ""
    detail: str = ""
    labels: tuple[Annotation, ...] = ()
    is_bad: bool = False


def timeline(
    stored: StoredIncident,
    triages: Iterable[TriageRun],
    annotations: Sequence[Annotation],
    notifications: Iterable[Notification] = (),
) -> list[Event]:
    """All events, oldest first. `annotations` must be oldest first; of failed attempts only the last is shown."""
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
    happened += [_notified(notification) for notification in notifications]
    return sorted(happened, key=lambda event: event.at)


def _failure(stored: StoredIncident) -> Event:
    """The last failure, or a retry after it: only the latest change of an incident has a time."""
    failed = f"attempt {stored.attempts} failed"
    what = f"Tried again after {failed}" if stored.status == "pending" else failed.capitalize()
    return Event(stored.updated_at, "service", what, detail=stored.failure or "", is_bad=True)


def _triaged(made: TriageRun) -> Event:
    triage = made.triage
    return Event(
        triage.created_at,
        "service",
        "Triaged, degraded" if triage.degraded else "Triaged",
        actor="" if triage.degraded else triage.provenance.model or "",
        detail=triage.degraded_reason or "",
        is_bad=triage.degraded,
    )


def _at_once(annotations: Sequence[Annotation]) -> Iterable[list[Annotation]]:
    """Annotations that one annotator gave together."""
    for _, given in itertools.groupby(
        annotations, key=lambda annotation: (annotation.annotator, annotation.origin, annotation.is_adjudication)
    ):
        batch: list[Annotation] = []
        for annotation in given:
            if batch and annotation.created_at - batch[0].created_at > _AT_ONCE:
                yield batch
                batch = []
            batch.append(annotation)
        yield batch


def _labelled(given: list[Annotation]) -> Event:
    first = given[0]
    what = "Adjudicated" if first.is_adjudication else _GIVEN[first.origin]
    notes = dict.fromkeys(annotation.note for annotation in given if annotation.note)
    return Event(first.created_at, "label", what, first.annotator, " ".join(notes), tuple(given))


def _notified(notification: Notification) -> Event:
    """A notification; the subscription is shown by id, since its address may contain a secret."""
    about = _NOTIFIED.get(notification.event, notification.event)
    if notification.state == "delivered":
        what = f"Told a subscriber of {about}"
    elif notification.state == "failed":
        what = f"Could not tell a subscriber of {about}"
    else:
        what = f"A subscriber is to be told of {about}"
    at = notification.delivered_at or notification.created_at
    recipient = f"subscription {notification.subscription_id}"
    return Event(at, "notification", what, recipient, notification.failure or "", is_bad=notification.state == "failed")
