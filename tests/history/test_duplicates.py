from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from triage.history.duplicates import DuplicateFinder, is_near_duplicate

REPORT = "At nine the scheduler stopped taking requests. Engineers restarted it and the queue was empty by ten."
TEXTS = st.lists(st.sampled_from(["node", "queue", "crash", "restart", "at", "ten"]), max_size=30).map(" ".join)


def test_a_longer_later_version_of_a_report_is_a_near_duplicate() -> None:
    longer = f"{REPORT} The cause was a lock that two threads took in different order. It was fixed the next day."

    assert is_near_duplicate(REPORT, longer)
    assert is_near_duplicate(longer, REPORT.upper())


def test_another_incident_in_similar_words_is_none() -> None:
    other = "At nine the gateway stopped taking requests, and engineers restarted it; nothing was left by noon."

    assert not is_near_duplicate(REPORT, other)


@given(TEXTS, TEXTS)
def test_it_does_not_matter_which_is_the_first(one: str, other: str) -> None:
    assert is_near_duplicate(one, other) == is_near_duplicate(other, one)


@given(TEXTS.filter(bool))
def test_every_text_is_a_near_duplicate_of_itself(text: str) -> None:
    assert is_near_duplicate(text, text)


@given(st.lists(TEXTS, max_size=8), TEXTS)
def test_the_finder_finds_what_comparing_each_finds(texts: list[str], text: str) -> None:
    assert DuplicateFinder(texts).of(text) == [n for n, other in enumerate(texts) if is_near_duplicate(text, other)]
