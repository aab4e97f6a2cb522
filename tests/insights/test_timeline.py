from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.triage_result import Provenance, Triage
from triage.insights.timeline import timeline
from triage.store import Notification, StoredIncident, TriageRun

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NINE + timedelta(minutes=minutes)


def stored(times: dict[str, datetime] | None = None, **fields: object) -> StoredIncident:
    incident = Incident.model_validate({"id": "a", "write_up": "It failed.", "source": "status page"} | (times or {}))
    values = {"incident": incident, "taxonomy": "t", "status": "triaged", "created_at": at(10), "updated_at": at(20)}
    return StoredIncident.model_validate(values | fields)


def made(minutes: float, **fields: object) -> TriageRun:
    provenance = Provenance(taxonomy="t", taxonomy_version="1.0.0", model="small-model")
    values = {"incident_id": "a", "facets": {}, "provenance": provenance, "created_at": at(minutes)}
    return TriageRun(f"run-{minutes}", Triage.model_validate(values | fields))


def said(minutes: float, annotator: str = "ada", facet: str = "category", **fields: object) -> Annotation:
    values = {"incident_id": "a", "facet": facet, "labels": ("x",), "annotator": annotator, "created_at": at(minutes)}
    return Annotation.model_validate(values | fields)


def told(state: str, **fields: object) -> Notification:
    values = {"id": "msg", "subscription_id": "sub-1", "event": "triaged", "incident_id": "a", "state": state}
    return Notification.model_validate(values | {"attempts": 1, "created_at": at(12)} | fields)


def test_what_happened_out_there_and_in_the_service_stands_in_one_line() -> None:
    times = {"started_at": at(0), "detected_at": at(5), "mitigated_at": at(45), "resolved_at": at(60)}

    found = timeline(stored(times), [made(11)], [said(50)])

    assert [(event.at, event.what) for event in found] == [
        (at(0), "Started"),
        (at(5), "Detected"),
        (at(10), "Received"),
        (at(11), "Triaged"),
        (at(45), "Mitigated"),
        (at(50), "Labelled"),
        (at(60), "Resolved"),
    ]
    assert (found[2].detail, found[3].actor, found[5].actor) == ("from status page", "small-model", "ada")


def test_what_one_person_says_at_once_is_one_event() -> None:
    found = timeline(
        stored(),
        [],
        [
            said(30, facet="category", note="Clear."),
            said(30.2, facet="mode", note="Clear."),
            said(30.3, "grace"),
            said(40),
            said(41, settles=(1, 2), is_gold=True),
            said(42, "a rule", origin="derived"),
        ],
    )

    labelled = [event for event in found if event.kind == "label"]
    assert [(event.what, event.actor, len(event.labels)) for event in labelled] == [
        ("Labelled", "ada", 2),
        ("Labelled", "grace", 1),
        ("Labelled", "ada", 1),
        ("Adjudicated", "ada", 1),
        ("Label derived", "a rule", 1),
    ]
    assert labelled[0].detail == "Clear."


def test_a_failed_attempt_is_told_with_its_reason_and_that_it_is_tried_again() -> None:
    failed = stored(status="failed", attempts=2, failure="The model was away.")
    again = stored(status="pending", attempts=2, failure="The model was away.")

    assert [(e.what, e.detail, e.is_bad) for e in timeline(failed, [], [])][-1] == (
        "Attempt 2 failed",
        "The model was away.",
        True,
    )
    assert timeline(again, [], [])[-1].what == "Tried again after attempt 2 failed"


def test_a_degraded_triage_says_why_and_names_no_model_for_it() -> None:
    event = timeline(stored(), [made(11, degraded=True, degraded_reason="No model answered.")], [])[-1]

    assert (event.what, event.actor, event.detail, event.is_bad) == (
        "Triaged, degraded",
        "",
        "No model answered.",
        True,
    )


def test_history_that_came_in_with_its_labels_says_so() -> None:
    assert timeline(stored(status="imported"), [], [])[0].what == "Came in with its labels, as history"


def test_who_was_told_is_named_by_the_subscription_and_never_by_its_address() -> None:
    notifications = [
        told("delivered", delivered_at=at(13)),
        told("failed", failure="It answered 500."),
        told("waiting", event="corrected"),
    ]

    found = [event for event in timeline(stored(), [], [], notifications) if event.kind == "notification"]

    assert [(event.at, event.what, event.detail) for event in found] == [
        (at(12), "Could not tell a subscriber of the triage", "It answered 500."),
        (at(12), "A subscriber is to be told of a correction", ""),
        (at(13), "Told a subscriber of the triage", ""),
    ]
    assert {event.actor for event in found} == {"subscription sub-1"}


@given(st.lists(st.floats(0, 1000), max_size=8))
def test_events_are_in_order_whenever_they_happened_and_none_is_lost(minutes: list[float]) -> None:
    annotations = [said(each, f"person {n}") for n, each in enumerate(sorted(minutes))]

    found = timeline(stored(), [made(each) for each in minutes], annotations)

    assert [event.at for event in found] == sorted(event.at for event in found)
    assert len(found) == 1 + 2 * len(minutes)
