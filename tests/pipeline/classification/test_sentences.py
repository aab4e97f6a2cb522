from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.pipeline.classification.sentences import Section, condense, is_boilerplate, split

TEXTS = st.text(alphabet=st.sampled_from("abc. \n!?AB1\"'(\té"), max_size=2_000)


@given(TEXTS)
def test_every_sentence_stands_in_the_text_where_it_says(text: str) -> None:
    for sentence in split(text):
        assert sentence.text
        assert sentence.text == text[sentence.start : sentence.start + len(sentence.text)]


@given(TEXTS)
def test_no_word_is_lost(text: str) -> None:
    assert "".join("".join(sentence.text.split()) for sentence in split(text)) == "".join(text.split())


@given(TEXTS, st.integers(min_value=400, max_value=1_500))
def test_what_is_read_fits_the_budget_and_keeps_its_order(text: str, budget: int) -> None:
    sentences = split(text)
    read = condense(sentences, budget)

    assert sum(len(sentence.text) for sentence in read) <= budget
    assert [s.start for s in read] == sorted(s.start for s in read)
    assert set(read) <= set(sentences)


def test_a_line_that_is_only_wrapped_ends_no_sentence() -> None:
    text = (
        "# Slow\n\nThe inference router ran out of\nmemory under load, so we \nrestarted it.\n\n"
        "What we did:\n- moved the replicas\n- rolled back\n\nA paragraph that ends without a mark\n\nso does this"
    )
    assert [sentence.text for sentence in split(text)] == [
        "# Slow",
        "The inference router ran out of\nmemory under load, so we \nrestarted it.",
        "What we did:",
        "- moved the replicas",
        "- rolled back",
        "A paragraph that ends without a mark",
        "so does this",
    ]


def test_an_abbreviation_ends_no_sentence() -> None:
    assert [s.text for s in split("It hit some regions, e.g. Oregon. Then it ended.")] == [
        "It hit some regions, e.g. Oregon.",
        "Then it ended.",
    ]


@pytest.mark.parametrize("filler", [" ", "\t", "\u3000", "vs. A ", "e.g. 1 ", "a. ", ".", "\n"])
def test_no_text_takes_long(filler: str) -> None:
    began = time.perf_counter()
    split(filler * (1_000_000 // len(filler)) + "!")
    assert time.perf_counter() - began < 20


def test_the_sentence_with_the_cause_survives_a_small_budget() -> None:
    filler = [f"Customers in region {n} kept asking for news." for n in range(60)]
    text = " ".join([*filler[:30], "The root cause was a misconfigured load balancer.", *filler[30:]])

    read = condense(split(text), 400)

    assert any("root cause" in sentence.text for sentence in read)
    assert read[0].text == filler[0]


def test_what_status_pages_say_of_every_incident_is_boilerplate() -> None:
    said = (
        "We are investigating reports of degraded performance.",
        "We have identified the root cause and are working with our provider.",
        "We will provide an update as soon as we can.",
        "This incident has been resolved.",
    )
    told = ("We identified that a certificate had expired.", "The rollout of a new router caused the errors.")

    assert all(map(is_boilerplate, said))
    assert not any(map(is_boilerplate, told))


def test_comments_hints_and_fences_are_no_sentences() -> None:
    text = "# Title\n<!-- e.g. a bad deploy -->\n_Describe the cause._\n```\nmake: failed\n```\nIt broke.\n\n---"

    assert [sentence.text for sentence in split(text)] == ["# Title", "make: failed", "It broke."]


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("## Root cause", "cause"),
        ("What went wrong and why?", "cause"),
        ("**原因**", "cause"),
        ("## How we ended it", "remedy"),
        ("Resolution:", "remedy"),
        ("## Action items", "plans"),
        ("What happened?", "events"),
        ("## Impact", ""),
    ],
)
def test_a_sentence_knows_what_its_heading_is_about(heading: str, section: Section) -> None:
    assert split(f"The title.\n\n## Timeline\nIt failed.\n\n{heading}\nThe disk was full.")[-1].section == section


def test_a_lead_at_the_beginning_of_a_sentence_is_a_heading() -> None:
    said = split(
        "Summary of Impact: Reads failed.\nRoot Cause: The disk was full.\nNothing was lost.\nMitigation: A restart."
    )

    assert [sentence.section for sentence in said] == ["events", "cause", "cause", "remedy"]


def test_pasted_log_lines_push_out_neither_the_cause_nor_the_fix() -> None:
    log = [
        f"2025-05-20T07:40:{n:02}.1{n:02}Z ERROR [worker-{n}] error in step {'abcdefgh'[n % 8] * 3}" for n in range(60)
    ]
    pasted = "\n".join(log)
    text = (
        f"Completions fail\n## Logs\n```\n{pasted}\n```\n## What happened\nA pool of nodes had an older driver.\n"
        "## How we ended it\nWe moved the pods back."
    )

    read = condense(split(text), 600)

    assert {"A pool of nodes had an older driver.", "We moved the pods back."} <= {sentence.text for sentence in read}


def test_a_log_line_can_be_evidence_only_if_it_names_an_exception_or_a_resource() -> None:
    text = "## Cause\nERROR [router-1] failed\ntorch.OutOfMemoryError: CUDA out of memory\nIt broke."

    assert [sentence.can_show for sentence in split(text)] == [False, False, True, True]
