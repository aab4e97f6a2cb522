"""Redacted text, and the mapping between its offsets and those of the original."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from pydantic import BaseModel, Field


class Span(NamedTuple):
    """An item to redact. Offsets count characters of the text it was found in."""

    start: int
    end: int
    kind: str


class Replacement(NamedTuple):
    """The offsets of a placeholder in the redacted text, and of its item in the original."""

    start: int
    end: int
    original_start: int
    original_end: int


class Redacted(BaseModel, frozen=True):
    """A text whose secrets and personal data are placeholders such as `<EMAIL_1>`.

    `counts` has the number of replacements by kind. `replacements` hold offsets only, and are not serialised.
    """

    text: str
    counts: dict[str, int] = Field(default_factory=dict)
    replacements: tuple[Replacement, ...] = Field(default=(), exclude=True, repr=False)

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """The offsets in the original of `start:end` here. A span that touches a placeholder covers its whole item.

        Raises `ValueError` for offsets outside the text.
        """
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(f"{start}:{end} is not a span of a text of {len(self.text)} characters")
        before = bisect_right(self.replacements, start, key=lambda r: r.end)
        first = self._at(before)
        if first and first.start <= start and (first.start < start or start < end):
            original_start = first.original_start
        else:
            original_start = start + self._shift(before)
        past = bisect_left(self.replacements, end, key=lambda r: r.start)
        last = self._at(past - 1) if past else None
        if last and end <= last.end and (end < last.end or start < end):
            return original_start, last.original_end
        return original_start, end + self._shift(past)

    def redacted_span(self, start: int, end: int) -> tuple[int, int]:
        """The offsets here of `start:end` in the original. A span that touches an item covers its whole placeholder.

        Raises `ValueError` for offsets outside the original.
        """
        length = len(self.text) + self._shift(len(self.replacements))
        if not 0 <= start <= end <= length:
            raise ValueError(f"{start}:{end} is not a span of a text of {length} characters")
        before = bisect_right(self.replacements, start, key=lambda r: r.original_end)
        first = self._at(before)
        past = bisect_left(self.replacements, end, key=lambda r: r.original_start)
        last = self._at(past - 1) if past else None
        return (
            first.start if first and first.original_start <= start else start - self._shift(before),
            last.end if last and end <= last.original_end else end - self._shift(past),
        )

    def _at(self, n: int) -> Replacement | None:
        return self.replacements[n] if n < len(self.replacements) else None

    def _shift(self, n: int) -> int:
        """By how much the offsets after the first `n` placeholders differ."""
        return self.replacements[n - 1].original_end - self.replacements[n - 1].end if n else 0
