"""The draft of a summary: only what is recorded or quoted, who said it, and what is open."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult, Neighbour, Provenance, Suggestion, Supporter, Triage
from triage.insights.study.roles import Roles
from triage.insights.summary import Material, summary
from triage.pipeline.classification.evidence import locate
from triage.redaction import Redactor
from triage.store import StoredIncident, TriageRun

TAXONOMY = Taxonomy.load("llm_inference")
START = datetime(2026, 3, 2, 9, 12, tzinfo=UTC)
WRITE_UP = (
    "At 09:12 UTC a third of the chat requests timed out for customers in eu-west. The request router leaked "
    "connections until it could open no more. Write to ann@corp.example for the log. We rolled the router back at "
    "09:58 UTC and traffic recovered. In future we will alert on open connections of all customers."
)
CAUSE = "The request router leaked connections until it could open no more."
REMEDY = "We rolled the router back at 09:58 UTC and traffic recovered."


def incident(**values: Any) -> Incident:
    usual = {"id": "INC-1", "title": "Chat times out", "write_up": WRITE_UP, "severity": "SEV-2", "started_at": START}
    return Incident(**usual | values)


def result(facet: str, *labels: str, quote: str = "", **values: Any) -> FacetResult:
    redacted = Redactor().redact(incident().text)
    evidence = locate([quote], redacted) if quote else ()
    return FacetResult(facet=facet, labels=labels, probability=0.82, evidence=evidence, **values)


def triaged(*results: FacetResult, **values: Any) -> Triage:
    provenance = Provenance(taxonomy="llm_inference", taxonomy_version="1.0.0", model="a-model", history_size=122)
    facets = {one.facet: one for one in results}
    usual = {"incident_id": "INC-1", "provenance": provenance, "created_at": START + timedelta(hours=2)}
    return Triage(facets=facets, **usual | values)


def said(facet: str, *labels: str, who: str = "ada", **values: Any) -> Annotation:
    usual = {"incident_id": "INC-1", "annotator": who, "created_at": START + timedelta(days=1)}
    return Annotation(facet=facet, labels=labels, **usual | values)


def draft(
    *annotations: Annotation,
    of: Incident | None = None,
    triage: Triage | None = None,
    status: str = "triaged",
    taxonomy: Taxonomy = TAXONOMY,
) -> str:
    stored = StoredIncident(
        incident=of or incident(),
        taxonomy=taxonomy.id,
        status=status,
        created_at=START + timedelta(hours=1),
        updated_at=START,
    )
    triages = [TriageRun("latest", triage)] if triage else []
    return summary(Material(stored, triages, annotations, taxonomy, Roles.load(taxonomy), Redactor()))


def part(text: str, heading: str) -> str:
    """What stands under a heading."""
    return text.partition(f"\n## {heading}")[2].partition("\n## ")[0]


TRIAGED = triaged(
    result("category", "inference_engine", quote=CAUSE),
    result("failure_mode", "resource_exhaustion", quote=CAUSE, is_calibrated=True),
    result("detection", "undisclosed", quote=CAUSE),
    FacetResult(facet="severity", labels=(), abstention="Not sure enough. Close: high (41%), medium (39%)."),
    result("mitigation", "rollback", quote=REMEDY),
)


def test_it_says_that_it_is_a_draft_and_begins_with_the_facts() -> None:
    text = draft(of=incident(detected_at=START + timedelta(minutes=8), mitigated_at=START + timedelta(minutes=46)))

    lines = text.splitlines()
    assert lines[0] == "# Chat times out"
    assert lines[2].startswith("> **Draft.**")
    assert "- **Time to detect:** 8 min" in lines
    assert "- **Time to mitigate:** 46 min" in lines
    assert "- **Severity:** SEV-2" in lines
    assert "- **Status:** mitigated 2026-03-02 09:58 UTC, no resolution recorded" in lines


def test_impact_and_times_are_sentences_of_the_write_up_and_redacted() -> None:
    text = draft(triage=TRIAGED)

    assert "> “At 09:12 UTC a third of the chat requests timed out for customers in eu-west.”" in part(text, "Impact")
    assert part(text, "Impact").count("> ") == 1
    assert f"- “{REMEDY}”" in part(text, "Timeline")
    assert "corp" not in text
    quotes = re.findall("“([^”]*)”", text)
    assert quotes
    redacted = Redactor().redact(WRITE_UP).text
    assert all(quote in redacted for quote in quotes)


def test_the_timeline_is_that_of_the_page() -> None:
    text = draft(
        said("category", "infrastructure", id=1),
        said("failure_mode", "network", id=2, note="Ask ann@corp.example."),
        said("category", "operational", who="lin", is_gold=True, settles=(1,), id=3),
        of=incident(detected_at=START + timedelta(minutes=8), source="status page"),
        triage=TRIAGED,
    )

    assert part(text, "Timeline").strip().splitlines()[:6] == [
        "- 2026-03-02 09:12 UTC: Started",
        "- 2026-03-02 09:20 UTC: Detected",
        "- 2026-03-02 10:12 UTC: Received, from status page",
        "- 2026-03-02 11:12 UTC: Triaged by a-model",
        "- 2026-03-03 09:12 UTC: Labelled by ada: category: Infrastructure; failure mode: Network. "
        "Note: “Ask &lt;EMAIL_1&gt;.”",
        "- 2026-03-03 09:12 UTC: Adjudicated by lin: category: Operational (gold)",
    ]


def test_a_person_confirms_or_corrects_and_without_one_it_says_so() -> None:
    confirmed = said("category", "inference_engine", is_gold=True)
    corrected = said("failure_mode", "deadlock", is_gold=True, who="grace")
    text = draft(confirmed, corrected, triage=TRIAGED)
    told = part(text, "What it was classified as")

    assert "**Category: Inference engine**. Confirmed by ada, 2026-03-03; the triage said so (82%, not cal" in told
    assert "Corrected by grace, 2026-03-03; the triage said Resource exhaustion (82%)." in told
    # Its evidence was for what turned out to be wrong.
    assert told.count(f"> “{CAUSE}”") == 1
    assert "No person has confirmed or corrected" in part(text, "Open questions")
    assert "The write-up does not tell, by the triage: detection (82%, not calibrated)." in told
    assert "no person has confirmed them" in part(draft(triage=TRIAGED), "What it was classified as")


def test_an_open_disagreement_is_a_question_and_decides_nothing() -> None:
    text = draft(said("category", "infrastructure"), said("category", "operational", who="max"), triage=TRIAGED)

    assert "**Category: open**. People differ: Infrastructure (ada, 2026-03-03); Operational (max" in text
    assert "- Category: which is right, Infrastructure (ada, 2026-03-03) or Operational" in part(text, "Open questions")
    settled = draft(
        said("category", "infrastructure", id=1),
        said("category", "operational", who="max", id=2),
        said("category", "operational", who="lin", is_gold=True, settles=(1, 2)),
        triage=TRIAGED,
    )
    assert "**Category: Operational**. Corrected by lin" in settled
    assert "which is right" not in settled


def test_what_ended_it_is_a_persons_word_or_a_suggestion_with_its_support() -> None:
    suggestion = Suggestion(
        mitigation="rollback",
        score=0.6,
        support=3,
        considered=5,
        ended=2,
        supporters=(Supporter(incident_id="old", title="Router [leak]", url="https://status.example/1"),),
        median_ttm_minutes=150,
        ttm_count=3,
    )
    triage = TRIAGED.model_copy(update={"suggestions": (suggestion,)})
    open_ = part(draft(triage=triage), "What ended it")
    assert "No person has said so yet. By the triage: **Rollback** (82%, not calibrated)" in open_
    assert f"> “{REMEDY}”" in open_
    assert (
        "- **Rollback**, in 3 of 5 similar incidents, ended 2 of them on its own, ended in 2 h 30 min (median of 3): "
        in open_
    )
    assert r"[Router \[leak\]](https://status.example/1) (status\.example) `old`" in open_

    told = part(draft(said("mitigation", "restart", is_gold=True), triage=triage), "What ended it")
    assert "**Restart**. Corrected by ada" in told
    assert "similar" not in told


def test_derived_labels_are_not_called_a_persons() -> None:
    text = draft(said("category", "infrastructure", who="llm_incidents", origin="derived", is_gold=True))

    assert "**Category: Infrastructure**. Labelled by llm_incidents (derived, no person), 2026-03-03." in text


def test_questions_are_what_is_missing_abstained_or_alike() -> None:
    copy = Neighbour(incident_id="INC-0", title="Chat times out", similarity=0.99, is_near_duplicate=True)
    asked = part(draft(triage=TRIAGED.model_copy(update={"neighbours": (copy,)})), "Open questions")

    assert "- Severity: which is it? Not sure enough. Close: high (41%), medium (39%)." in asked
    assert "- When was it detected?" in asked
    assert "- When did it end? " in asked
    assert "When did it start" not in asked
    assert "- How was it detected? The write-up does not tell." in asked
    assert "- Is it the same incident as `INC-0`?" in asked
    unclear = part(draft(of=incident(write_up="It broke.", started_at=None)), "Open questions")
    assert "- When did it start?" in unclear
    assert "- Who was affected, and how much?" in unclear


def test_it_ends_with_empty_boxes_and_where_it_comes_from() -> None:
    text = draft(triage=TRIAGED.model_copy(update={"degraded": True, "degraded_reason": "No model answers."}))

    assert part(text, "Follow-up").splitlines().count("- [ ] ") == 3
    source = part(text, "Where this comes from")
    assert "`a-model`" in source
    assert "- Degraded: No model answers." in source
    assert "partly calibrated" in source
    assert "**The triage is degraded**" in text.partition("## ")[0]


@pytest.mark.parametrize("status", ["imported", "pending"])
def test_an_incident_without_a_triage_or_labels_has_a_draft_too(status: str) -> None:
    text = draft(status=status, taxonomy=Taxonomy.load("cloud_faults"))

    assert "Nothing: it was neither triaged nor labelled." in text
    assert f"It has no triage (status {status})" in text
    assert "## Similar incidents" not in text
    # A taxonomy without mitigations has no such part.
    assert "## What ended it" not in text


def test_labels_and_facets_of_another_version_of_the_taxonomy_keep_their_ids() -> None:
    text = draft(said("colour", "dark_red"), triage=triaged(result("shape", "round")))

    assert "**colour: dark_red**. Labelled by ada, 2026-03-03 (not gold yet)." in text
    assert "**shape: round** (82%, not calibrated)" in text


def test_a_quote_that_does_not_stand_in_the_write_up_is_left_out_and_one_cut_in_a_word_ends_before_it() -> None:
    whole = result("category", "operational", quote="The request router leaked connections until it could open no mo")
    lost = whole.model_copy(update={"facet": "failure_mode", "labels": ("deployment",)})
    invented = lost.evidence[0].model_copy(update={"quote": "The router was overloaded."})
    text = draft(triage=triaged(whole, lost.model_copy(update={"evidence": (invented,)})))

    assert "> “The request router leaked connections until it could open no …”" in text
    assert "overloaded" not in text


def test_without_a_title_the_first_sentence_of_words_is_one() -> None:
    assert draft(of=incident(title="", write_up=f"06/29/2022\n\n{CAUSE}")).startswith(f"# {CAUSE}")
    assert draft(of=incident(title="", write_up="06/29/2022")).startswith("# INC-1")


@settings(deadline=None, max_examples=40)
@given(
    st.text(st.sampled_from("`*_[]()<>#+-=|~!&:;@./ \n.aA1") | st.characters(exclude_characters="\x00"), max_size=80),
    st.text(st.sampled_from("`*_[]()<>#-|~!&:/@. a") | st.characters(exclude_characters="\x00"), max_size=40),
)
def test_nothing_from_outside_becomes_markup(write_up: str, other: str) -> None:
    """The draft of any texts has the blocks, links and HTML of the same draft of plain words."""
    reader = MarkdownIt("gfm-like")

    def shape(write_up: str, other: str) -> list[str]:
        quote = " ".join(f"The {write_up} a third of all users failed at 09:12.".split())
        found = incident(title=f"T {other}", write_up=quote, severity=f"S {other[:40]}", url="", service=f"x {other}")
        neighbour = Neighbour(incident_id="old", title=f"N {other}", similarity=0.5, url=f"https://a.example/{other}")
        evidence = locate([quote], Redactor().redact(found.text))
        facet = FacetResult(facet="category", labels=("operational",), evidence=evidence)
        triage = triaged(facet, neighbours=(neighbour,), degraded=True, degraded_reason=f"R {other}")
        text = draft(said("category", "operational", who=f"w {other}", note=f"n {other}"), of=found, triage=triage)
        tokens = reader.parse(text)
        inline = [child for token in tokens for child in token.children or ()]
        assert not [token for token in (*tokens, *inline) if token.type in ("html_block", "html_inline", "image")]
        targets = [str(token.attrs["href"]) for token in inline if token.type == "link_open"]
        assert all(target.startswith("https://a.example/") for target in targets)
        return [token.type for token in tokens if token.type not in ("paragraph_open", "paragraph_close", "inline")]

    # How many sentences there are depends on the text, so the kinds of blocks are compared.
    assert set(shape(write_up, other)) <= set(shape("x", "x"))
