"""Offsets lead from the redacted text to the original and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.redaction import Redactor

WORDS = st.sampled_from(
    ["The", "router", "failed", "jane@example.org", "10.1.2.3", "password=hunter2", "é", "🔥", "\n"]
)


@given(st.lists(WORDS, min_size=1, max_size=20), st.data())
def test_a_span_led_there_and_back_covers_itself_and_at_most_whole_items(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    redacted = Redactor().redact(text)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))

    there = redacted.redacted_span(start, end)
    back = redacted.original_span(*there)

    assert back[0] <= start < end <= back[1]
    assert redacted.redacted_span(*back) == there
    taken_out = [r for r in redacted.replacements if r.original_start < end and start < r.original_end]
    if not taken_out:
        assert back == (start, end)
        assert redacted.text[slice(*there)] == text[start:end]
    else:
        assert "<" in redacted.text[slice(*there)]


def test_the_whole_text_is_the_whole_text() -> None:
    text = "jane@example.org wrote to joe@example.org"
    redacted = Redactor().redact(text)
    assert redacted.redacted_span(0, len(text)) == (0, len(redacted.text))
    assert redacted.redacted_span(16, 26) == (9, 19)
    with pytest.raises(ValueError, match="of a text of 41 characters"):
        redacted.redacted_span(3, 42)
