from __future__ import annotations

import tracemalloc

from triage.history.duplicates import is_near_duplicate
from triage.history.retrieval import bm25
from triage.history.text_cache import cached_by_text


def test_what_was_used_last_is_not_made_anew() -> None:
    made: list[str] = []

    def make(text: str) -> str:
        made.append(text)
        return text.upper()

    ask = cached_by_text(make, most_characters=6)
    asked = ("aa", "bb", "aa", "cc", "dd", "aa", "bb")
    assert [ask(text) for text in asked] == [text.upper() for text in asked]
    assert made == ["aa", "bb", "cc", "dd", "bb"]
    # One that is longer than all may be is given all the same, and kept alone until the next one.
    assert [ask("x" * 9), ask("x" * 9), ask("aa")] == ["X" * 9, "X" * 9, "AA"]
    assert made[5:] == ["x" * 9, "aa"]


def test_long_questions_do_not_fill_the_memory() -> None:
    tracemalloc.start()
    for number in range(60):
        question = "x" * 1_000_000 + str(number)
        is_near_duplicate("The router ran out of memory.", question)
        bm25(question, ["The router ran out of memory.", question])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 70_000_000
