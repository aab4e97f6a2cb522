"""Splits a write-up into sentences, and chooses those that fit a model's budget."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import BaseModel

_MAX_CHARACTERS = 400
# Text of fixed width, such as mail: a line that ends in the middle of a sentence.
_WRAPPED = r"(?<=[^\n]{19}[a-z,;]) ?\n[a-z]"
# A sentence ends at a full stop before a capital, digit, bracket or quote, or at a line end that is not wrapping.
# The pattern starts where white space begins only, so that long runs of it take no time.
_BOUNDARY = re.compile(rf"(?<=[.!?])\s+(?=[\"'(\[A-Z0-9])|(?<!\s)(?!{_WRAPPED})\s*\n\s*")
# Abbreviations whose full stop does not end a sentence.
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|approx|vs|no|U\.S|a\.m|p\.m)\.$", re.IGNORECASE)
_LONGEST_ABBREVIATION = 10
_CAUSE = re.compile(
    r"\b(?:root cause|caus(?:e|ed|es|ing)|due to|because|result(?:ed|ing)? (?:of|from|in)|trigger(?:ed)?|led to|"
    r"identified|determined|found that|bug|regression|misconfigur\w*|incorrect(?:ly)?|exhaust\w*|overload\w*|"
    r"deploy\w*|rolled back|mitigat\w*|revert\w*|restart\w*|failed over|error|exception|traceback)\b",
    re.IGNORECASE,
)


# Phrases of status pages without information.
_BOILERPLATE = re.compile(
    r"\b(?:investigating|continu\w+ to (?:investigate|monitor|see|work)|"
    r"(?:currently|actively|are|is) (?:working|monitoring)|"
    r"(?:provide|share|post) (?:more |further |an |additional )?(?:updates?|details)|updates? (?:as|when|soon)|"
    r"identified the (?:root )?(?:cause|issue|problem)(?: and\b|[.,]?$)|"
    r"(?:issue|incident) has been (?:identified|resolved)|apologi[sz]e|thank you)\b",
    re.IGNORECASE,
)
# How an incident ended, which responders don't know while it continues.
_RESOLUTION = re.compile(
    r"\b(?:resolv\w+|mitigat\w+|remediat\w+|rolled back|rolling back|roll(?:ed)? ?back|revert\w*|restor\w+|recover\w+|"
    r"fixed|hot-?fix\w*|repair\w*|deployed (?:a|the) fix|fully operational|back to normal|next steps?|"
    r"to prevent|in the future|going forward|post-?mortem|root cause)\b",
    re.IGNORECASE,
)


class Sentence(BaseModel, frozen=True):
    """One sentence; `start` is its offset in the text."""

    start: int
    text: str


def split(text: str) -> list[Sentence]:
    """The sentences and lines of `text`, in order, each at most 400 characters."""
    sentences: list[Sentence] = []
    start = 0
    for match in [*_BOUNDARY.finditer(text), None]:
        end = match.start() if match else len(text)
        last_word = text[max(start, end - _LONGEST_ABBREVIATION) : end]
        if match and "\n" not in match.group() and _ABBREVIATION.search(last_word):
            continue
        sentences += _pieces(text, start, end)
        start = match.end() if match else end
    return sentences


def condense(
    sentences: list[Sentence], max_characters: int, worth: Callable[[Sentence], float] | None = None
) -> list[Sentence]:
    """The most informative sentences within `max_characters`, in their order.

    A third of the budget goes to the head, which says what was seen. The rest goes to the other sentences by rank:
    those with words of cause or remedy, and the last ones, or those that `worth` ranks highest.
    """
    if sum(len(s.text) for s in sentences) <= max_characters:
        return sentences
    last = len(sentences) - 1
    chosen: set[int] = set()
    left = max_characters
    for index in _head(sentences, max_characters // 3):
        chosen.add(index)
        left -= len(sentences[index].text)
    ranked = sorted(
        (i for i in range(len(sentences)) if i not in chosen),
        key=lambda i: (-(worth(sentences[i]) if worth else cause_words(sentences[i].text) + 0.5 * (i >= last - 1)), i),
    )
    for index in ranked:
        if len(sentences[index].text) <= left:
            chosen.add(index)
            left -= len(sentences[index].text)
    return [sentences[i] for i in sorted(chosen)]


def cause_words(text: str) -> int:
    """The number of different words of cause or remedy in `text`."""
    return len({match.lower() for match in _CAUSE.findall(text)})


def is_boilerplate(text: str) -> bool:
    """True if status pages say this of every incident."""
    return bool(_BOILERPLATE.search(text))


def without_boilerplate(text: str) -> str:
    """The sentences of `text`, one per line, without boilerplate of status pages."""
    return "\n".join(sentence.text for sentence in split(text) if not is_boilerplate(sentence.text))


def before_resolution(sentences: list[Sentence]) -> list[Sentence]:
    """The sentences without words of repair, recovery and hindsight: what was known before the end.

    If none would remain, all sentences.
    """
    kept = [sentence for sentence in sentences if not _RESOLUTION.search(sentence.text)]
    return kept or sentences


def _head(sentences: list[Sentence], budget: int) -> list[int]:
    taken: list[int] = []
    for index, sentence in enumerate(sentences):
        budget -= len(sentence.text)
        if budget < 0 and taken:
            break
        taken.append(index)
    return taken


def _pieces(text: str, start: int, end: int) -> list[Sentence]:
    """The trimmed span as one sentence, or several if it is too long."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return [
        Sentence(start=at, text=text[at : min(at + _MAX_CHARACTERS, end)]) for at in range(start, end, _MAX_CHARACTERS)
    ]
