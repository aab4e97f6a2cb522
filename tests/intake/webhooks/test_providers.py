from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.intake.webhooks import payloads
from tests.intake.webhooks.payloads import encoded
from triage.domain.incident import Incident
from triage.intake.webhooks import PROVIDERS, SourceKind


def only(kind: str, payload: Any, source_id: str = "src_1") -> Incident:
    (incident,) = PROVIDERS[kind].read(encoded(payload), source_id).incidents
    return incident


def test_the_kinds_of_sources_are_those_of_the_registry() -> None:
    assert get_args(SourceKind) == tuple(PROVIDERS)


@pytest.mark.parametrize("kind", PROVIDERS)
def test_the_same_payload_is_the_same_incident_and_that_of_another_source_another(kind: str) -> None:
    payload = getattr(payloads, kind)()
    assert only(kind, payload) == only(kind, payload)
    assert only(kind, payload).id != only(kind, payload, "src_2").id
    assert only(kind, payload).id.startswith(f"{kind}-")


def test_a_group_of_alerts_becomes_a_write_up_that_a_person_can_read() -> None:
    incident = only("alertmanager", payloads.alertmanager())
    assert incident.title == "QueueTooLong: Requests wait longer than 30 s"
    assert incident.write_up.splitlines() == [
        "1 alert firing.",
        "Requests wait longer than 30 s",
        "All of them: alertname=QueueTooLong, severity=page, service=llm-gateway",
        "- region=eu-west since 2026-03-02 09:12:30 UTC",
        "  312 requests wait in eu-west.",
    ]
    assert (incident.service, incident.severity, incident.source) == ("llm-gateway", "page", "alertmanager")
    assert str(incident.started_at) == "2026-03-02 09:12:30.123456+00:00"
    assert incident.attributes["alerts"] == 1


@pytest.mark.parametrize("kind", ["alertmanager", "grafana"])
def test_a_group_that_fires_again_is_a_new_incident_and_one_more_alert_is_none(kind: str) -> None:
    first = getattr(payloads, kind)()
    more, later = getattr(payloads, kind)(), getattr(payloads, kind)()
    more["alerts"].append(first["alerts"][0] | {"startsAt": "2026-03-02T09:20:00Z"})
    later["alerts"][0]["startsAt"] = "2026-03-03T10:00:00Z"
    assert only(kind, more).id == only(kind, first).id != only(kind, later).id


def test_organisations_of_one_grafana_are_kept_apart() -> None:
    assert only("grafana", payloads.grafana()).id != only("grafana", payloads.grafana(orgId=2)).id


def test_pagerduty_and_incident_io_incidents_say_what_the_event_says() -> None:
    paged = only("pagerduty", payloads.pagerduty())
    assert paged.write_up.splitlines()[:2] == ["Requests to the model gateway time out", "Service: LLM gateway"]
    assert (paged.severity, paged.service, paged.attributes["pagerduty_number"]) == ("P1", "LLM gateway", 4711)

    declared = only("incident_io", payloads.incident_io())
    assert declared.title == "Completions are cut off"
    assert "end after 4 KB" in declared.write_up
    assert (declared.severity, declared.url) == ("Major", "https://app.incident.io/acme/incidents/311")


def test_a_generic_incident_keeps_its_senders_id_or_is_named_by_its_content() -> None:
    incident = only("generic", payloads.generic())
    assert incident.attributes["sender_id"] == "ticket/81"
    assert only("generic", payloads.generic(write_up="Told better.")).id == incident.id
    assert only("generic", payloads.generic(id="")).id != only("generic", payloads.generic(id="", title="T")).id


@pytest.mark.parametrize(
    ("kind", "payload", "why"),
    [
        ("alertmanager", payloads.alertmanager(status="resolved"), "No alert is firing"),
        ("alertmanager", payloads.alertmanager(alerts=[]), "No alert is firing"),
        ("grafana", payloads.grafana(status="resolved"), "No alert is firing"),
        ("pagerduty", payloads.pagerduty("incident.resolved"), "'incident.resolved'"),
        ("pagerduty", {"event": {"event_type": "pagey.ping", "data": {"message": "Hello"}}}, "'pagey.ping'"),
        ("pagerduty", {"event": {"event_type": "service.deleted", "data": None}}, "'service.deleted'"),
        ("incident_io", payloads.incident_io("public_incident.incident_updated_v2"), "incident_updated_v2"),
        (
            "incident_io",
            payloads.incident_io("private_incident.incident_created_v2"),
            "private incidents contain",
        ),
        ("incident_io", payloads.incident_io(mode="test"), "a test incident"),
        ("generic", payloads.generic("incident.resolved"), "'incident.resolved'"),
        ("generic", {"type": "deploy", "data": [1]}, "'deploy'"),
    ],
)
def test_what_makes_no_incident_is_told_with_the_reason(kind: str, payload: Any, why: str) -> None:
    reading = PROVIDERS[kind].read(encoded(payload), "src_1")
    assert reading.incidents == ()
    assert why in reading.ignored[0]


@pytest.mark.parametrize("kind", PROVIDERS)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"a": 1}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_payload_of_the_kind_is_refused(kind: str, content: bytes) -> None:
    with pytest.raises(ValidationError):
        PROVIDERS[kind].read(content, "src_1")


TEXT = st.text(max_size=40) | st.sampled_from(["x" * 3_000, "\x00", "https://a.example/" + "b" * 3_000])


@given(st.dictionaries(TEXT, TEXT, max_size=5), TEXT, TEXT)
def test_no_text_of_a_sender_makes_an_incident_that_can_not_be_kept(
    labels: dict[str, str], text: str, summary: str
) -> None:
    alert = {"labels": labels, "annotations": {"summary": summary, "description": text}, "generatorURL": text}
    group = payloads.alertmanager(alerts=[alert] * 3, commonLabels=labels, commonAnnotations={"summary": summary})
    paged = payloads.pagerduty(title=text, html_url=text, urgency=summary, service={"summary": summary})
    declared = payloads.incident_io(name=text, summary=summary, permalink=text)
    for kind, payload in (("alertmanager", group), ("pagerduty", paged), ("incident_io", declared)):
        incident = only(kind, payload)
        assert "\x00" not in incident.model_dump_json()
        assert "\\u0000" not in incident.model_dump_json()


def test_many_alerts_are_cut_and_counted() -> None:
    alert = payloads.alertmanager()["alerts"][0]
    incident = only("alertmanager", payloads.alertmanager(alerts=[alert] * 4_000, truncatedAlerts=7))
    assert incident.write_up.startswith("4007 alerts firing.")
    assert incident.write_up.endswith("... and 3957 more.")
    assert len(incident.write_up) < 20_000
