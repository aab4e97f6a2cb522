from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.taxonomy import DisplayNames, Taxonomy
from triage.domain.triage_result import Evidence, FacetResult, Neighbour, Provenance, Suggestion, Triage
from triage.redaction import Redactor
from triage.server.notifications.message import News, _cut, escaped, generic, news, slack
from triage.store import StoredIncident

NOW = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
AT = NOW.isoformat()
NAMES = DisplayNames(Taxonomy.load("llm_inference"))
WRITE_UP = "The canary phrase is heliotrope. The cache filled up and every worker was evicted."


def stored(title: str = "Completions <time out>", **state: object) -> StoredIncident:
    incident = Incident(id="inc-1", title=title, write_up=WRITE_UP, service="chat", severity="SEV-1")
    values = {"status": "triaged", "taxonomy": "llm_inference", "created_at": NOW, "updated_at": NOW, "team": "serving"}
    return StoredIncident(incident=incident, **values | state)


def triage(**fields: object) -> Triage:
    facets = {
        "category": FacetResult(
            facet="category",
            labels=("inference_engine",),
            probability=0.83,
            evidence=(Evidence(start=0, end=9, quote="heliotrope"),),
            rationale="heliotrope",
            is_calibrated=True,
        ),
        "failure_mode": FacetResult(facet="failure_mode", labels=(), abstention="Two labels are close."),
    }
    values = {
        "incident_id": "inc-1",
        "facets": facets,
        "neighbours": (
            Neighbour(incident_id="old", title="Workers & routers", url="https://wiki.example/old", similarity=0.81),
        ),
        "suggestions": (
            Suggestion(
                mitigation="restart",
                score=0.5,
                support=3,
                considered=5,
                median_ttm_minutes=41.0,
                ttm_until="mitigation",
            ),
            Suggestion(mitigation="rollback", score=0.2, is_general_advice=True),
            Suggestion(mitigation="scale_out", score=0.1, support=1, considered=5),
        ),
        "provenance": Provenance(taxonomy="llm_inference", taxonomy_version="1.0.0"),
    }
    return Triage(**values | fields)


def told(title: str = "Completions <time out>", **fields: object) -> News:
    return news("triaged", AT, stored(title), Redactor(), "https://triage.example/", triage=triage(**fields))


def section(body: bytes) -> str:
    text: str = json.loads(body)["blocks"][0]["text"]["text"]
    return text


def test_a_generic_message_says_what_a_program_needs() -> None:
    message = json.loads(generic(told()))
    assert message["type"] == "triaged"
    assert message["timestamp"] == AT
    data = message["data"]
    assert data["incident_id"] == "inc-1"
    assert data["team"] == "serving"
    assert data["labels"] == {"category": {"labels": ["inference_engine"], "probability": 0.83, "is_calibrated": True}}
    assert data["abstentions"] == {"failure_mode": "Two labels are close."}
    assert (data["degraded"], data["degraded_reason"]) == (False, None)
    assert data["suggestions"][0] == {
        "mitigation": "restart",
        "support": 3,
        "considered": 5,
        "median_ttm_minutes": 41.0,
        "ttm_until": "mitigation",
        "is_general_advice": False,
    }
    assert data["similar"][0]["incident_id"] == "old"
    assert data["links"] == {"triage": "https://triage.example/v1/incidents/inc-1/triage"}


@pytest.mark.parametrize("make", [generic, lambda it: slack(it, NAMES)])
def test_no_message_holds_text_of_the_write_up_or_a_secret(make: object) -> None:
    secret = "Leak at jane@example.org, password=hunter2correct"
    body = make(told(secret, degraded=True, degraded_reason="The model did not answer.")).decode()  # type: ignore[operator]
    for private in ("heliotrope", "evicted", "jane@example.org", "hunter2correct"):
        assert private not in body


def test_a_slack_message_reads_from_the_label_to_what_helped_before() -> None:
    lines = section(slack(told(degraded=True, degraded_reason="No model answers."), NAMES)).splitlines()
    assert lines == [
        "*Triage:* <https://triage.example/v1/incidents/inc-1/triage|Completions &lt;time out&gt;>",
        ":warning: *Degraded*, trust it less: No model answers.",
        f"{NAMES.facet('category')}: *{NAMES.labels('category', ('inference_engine',))}* (83%)",
        f"{NAMES.facet('failure_mode')}: _abstains_, Two labels are close.",
        f"• {NAMES.mitigation('restart')}: used in 3 of 5 similar incidents; mitigated in 41 min in the median",
        f"• {NAMES.mitigation('rollback')}: used in others of this kind, in no similar incident",
        "Most similar: <https://wiki.example/old|Workers &amp; routers> (0.81)",
    ]


def test_a_probability_that_is_none_says_so() -> None:
    uncertain = {"category": FacetResult(facet="category", labels=("inference_engine",), probability=0.4)}
    assert "(40%, not calibrated)" in section(slack(told(facets=uncertain), NAMES))


def test_a_failure_and_a_correction_have_messages_of_their_own() -> None:
    failed = news("failed", AT, stored(failure="No model answers at x."), Redactor())
    assert json.loads(generic(failed))["data"]["failure"] == "No model answers at x."
    assert "No attempt is left: No model answers at x." in section(slack(failed, NAMES))

    gold = Annotation(incident_id="inc-1", facet="category", labels=("infrastructure",), annotator="ada", is_gold=True)
    corrected = news("corrected", AT, stored(), Redactor(), triage=triage(), correction=gold)
    assert json.loads(generic(corrected))["data"]["correction"] == {
        "facet": "category",
        "labels": ["infrastructure"],
        "triage_labels": ["inference_engine"],
    }
    was, now = (NAMES.labels("category", (label,)) for label in ("inference_engine", "infrastructure"))
    assert f"~{was}~ *{now}*" in section(slack(corrected, NAMES))
    assert "ada" not in generic(corrected).decode() + slack(corrected, NAMES).decode()


TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=500)
NASTY = st.lists(
    st.sampled_from(["<!channel>", "<https://evil.example|here>", "&amp;", "&", "<", ">", "|", "*", "x" * 90])
).map("".join)


@given(TEXTS | NASTY, TEXTS | NASTY, TEXTS | NASTY)
def test_no_text_becomes_a_link_a_mention_or_too_long(title: str, reason: str, neighbour: str) -> None:
    similar = Neighbour(
        incident_id="old", title=neighbour, url="https://wiki.example/" + neighbour[:40], similarity=0.5
    )
    facets = {f"facet_{i}": FacetResult(facet=f"facet_{i}", labels=(), abstention=reason) for i in range(8)}
    it = told(title[:500], facets=facets, neighbours=(similar,), degraded=True, degraded_reason=reason)
    message = json.loads(slack(it, NAMES))

    text = message["blocks"][0]["text"]["text"]
    assert 1 <= len(text) <= 3_000
    assert len(message["text"]) <= 1_000
    links = re.findall(r"<([^>]*)>", text)
    assert all(link.startswith(("https://triage.example/", "https://wiki.example/")) for link in links)
    assert all(link.count("|") == 1 and "<" not in link for link in links)
    rest = re.sub(r"<[^>]*>", "", text)
    assert "<" not in rest
    assert ">" not in rest
    assert not re.search("&(?!amp;|lt;|gt;)", text + message["text"])


@given(TEXTS | NASTY)
def test_escaping_loses_nothing(text: str) -> None:
    marked = text.replace("&", "")
    assert html.unescape(escaped(marked)) == marked
    assert not set("<>") & set(escaped(text))


@given(NASTY, st.integers(1, 50))
def test_no_entity_is_cut_in_half(text: str, most: int) -> None:
    cut = _cut(escaped(text), most)
    assert len(cut) <= most
    assert not re.search("&(?!amp;|lt;|gt;)", cut)
