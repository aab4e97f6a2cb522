"""How a summary words moments, quotes and who said something: one line of Markdown each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from triage.domain.annotation import Annotation
from triage.render.markdown import plain, shortened

_QUOTE_CHARACTERS = 400


def moment(at: datetime) -> str:
    """A moment in UTC, to the minute."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def text(words: str, most: int = _QUOTE_CHARACTERS) -> str:
    """Words of other people on one line, cut at `most` characters."""
    return plain(shortened(words, most))


def quoted(sentences: Iterable[str]) -> list[str]:
    """Quotations, one line each, with an empty line behind each."""
    return [line for sentence in sentences for line in (f"> “{text(sentence)}”", "")]


def teller(annotation: Annotation) -> str:
    """Who gave a label, and when."""
    who = plain(annotation.annotator)
    if annotation.origin != "human":
        who += f" ({annotation.origin}, no person)"
    return f"{who}, {annotation.created_at.astimezone(UTC):%Y-%m-%d}"
