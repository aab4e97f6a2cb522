"""The redactor: replaces secrets and personal data with placeholders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from triage.domain.incident import Incident
from triage.redaction import assignments, credentials, personal, tokens
from triage.redaction.redacted import Redacted, Replacement, Span

BLANK = "\x00"
"""Replaces each character that was found. No pattern matches it, so nothing is found twice or across it."""

# If two find the same place, the earlier one gives the kind.
_FINDERS: tuple[Callable[[str], Iterator[Span]], ...] = (
    credentials.find_private_keys,
    tokens.find,
    credentials.find,
    assignments.find,
    personal.find,
)
_PLACEHOLDER = re.compile(r"<([A-Z]{2,12}(?:_[A-Z]{2,12}){0,2})_([0-9]{1,6})>")
# Removing an item can expose its neighbour, so the search is repeated. Only contrived texts need more rounds.
_ROUNDS = 6
_MANY = 30
_WORD = re.compile(r"[^\s\"'`<>()\[\]{},;\x00]{8,}")
_PERSONAL = frozenset(personal.KINDS)


class Redactor:
    """Replaces secrets (keys, tokens, passwords, credentials in URLs and headers) and personal data (e-mail, IP and MAC
    addresses, phone, card and account numbers). Names of persons stay. The time is linear in the text's length.
    """

    def redact(self, text: str) -> Redacted:
        """Replace each item with a placeholder; equal values get the same one. Redacting twice changes nothing.

        >>> Redactor().redact("Ask jane@example.org; password=hunter2").text
        'Ask <EMAIL_1>; password=<SECRET_1>'
        """
        spans = _find_all(text)
        if not spans:
            return Redacted(text=text)
        numbers = Counter[str]()
        for kind, number in _PLACEHOLDER.findall(text):
            numbers[kind] = max(numbers[kind], int(number))
        names: dict[str, str] = {}
        pieces: list[str] = []
        replacements: list[Replacement] = []
        position = written = 0
        for start, end, kind in spans:
            value = text[start:end]
            if value not in names:
                numbers[kind.upper()] += 1
                names[value] = f"<{kind.upper()}_{numbers[kind.upper()]}>"
            pieces += text[position:start], names[value]
            written += start - position
            replacements.append(Replacement(written, written + len(names[value]), start, end))
            written += len(names[value])
            position = end
        pieces.append(text[position:])
        counts = Counter(span.kind for span in spans)
        return Redacted(text="".join(pieces), counts=dict(sorted(counts.items())), replacements=tuple(replacements))

    def redact_incident(self, incident: Incident) -> Incident:
        """Redact the title and the write-up."""
        texts = {name: self.redact(getattr(incident, name)).text for name in ("title", "write_up")}
        return incident.model_copy(update=texts)


def _find_all(text: str) -> list[Span]:
    rest = _PLACEHOLDER.sub(lambda m: BLANK * len(m.group()), text)
    found = spans = _search(rest, 0, len(rest))
    for _ in range(_ROUNDS):
        if not spans:
            break
        rest = _blank(rest, spans)
        spans = [span for start, end in _lines_of(spans, rest) for span in _search(rest, start, end)]
        found = found + spans
    return sorted([*found, *_repeats(text, rest, found)])


def _search(text: str, start: int, end: int) -> list[Span]:
    part = text[start:end]
    spans = _merge([span for find in _FINDERS for span in find(part)])
    return [Span(s.start + start, s.end + start, s.kind) for s in spans] if start else spans


def _lines_of(spans: list[Span], text: str) -> list[tuple[int, int]]:
    """The lines that contain `spans`. Only there can a new search find more."""
    if len(spans) > _MANY:
        spans = [Span(spans[0].start, spans[-1].end, "")]
    lines: list[tuple[int, int]] = []
    for span in spans:
        if not lines or span.start >= lines[-1][1]:
            end = text.find("\n", span.end)
            lines.append((text.rfind("\n", 0, span.start) + 1, len(text) if end < 0 else end))
    return lines


def _merge(spans: list[Span]) -> list[Span]:
    """Merge overlapping spans; the kind is that of the first finder."""
    merged: list[tuple[int, int, int]] = []
    for start, end, rank in sorted((span.start, span.end, rank) for rank, span in enumerate(spans)):
        if merged and start < merged[-1][1]:
            first, last, best = merged[-1]
            merged[-1] = (first, max(end, last), min(rank, best))
        else:
            merged.append((start, end, rank))
    return [Span(start, end, spans[rank].kind) for start, end, rank in merged]


def _blank(text: str, spans: Iterable[Span]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end, _ in spans:
        pieces += text[position:start], BLANK * (end - start)
        position = end
    return "".join([*pieces, text[position:]])


def _repeats(text: str, rest: str, found: list[Span]) -> Iterator[Span]:
    """Find further copies of secrets, without the context that revealed them."""
    values = {text[s.start : s.end]: s.kind for s in reversed(found) if s.kind not in _PERSONAL}
    known = {value: kind for value, kind in values.items() if re.search("[0-9]", value) and re.search("[^0-9]", value)}
    if not known:
        return
    for match in _WORD.finditer(rest):
        for word in (match.group(), match.group().rstrip(".:!?")):
            if word in known:
                yield Span(match.start(), match.start() + len(word), known[word])
                break
