"""Sentences of a write-up, with their place in it, and the choice of those that fit a model's budget."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import BaseModel

_MAX_CHARACTERS = 400
# Text of a fixed width, such as mail: a line that ends in the middle of a sentence, which the next one goes on with.
_WRAPPED = r"(?<=[^\n]{19}[a-z,;]) ?\n[a-z]"
# A sentence ends at a full stop before a capital, digit, bracket or quote, or at a line end that is no mere wrapping.
# It is looked for where white space begins only, so that a long run of it takes no time.
_BOUNDARY = re.compile(rf"(?<=[.!?])\s+(?=[\"'(\[A-Z0-9])|(?<!\s)(?!{_WRAPPED})\s*\n\s*")
# Abbreviations whose full stop ends no sentence.
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|approx|vs|no|U\.S|a\.m|p\.m)\.$", re.IGNORECASE)
_LONGEST_ABBREVIATION = 10
_CAUSE = re.compile(
    r"\b(?:root cause|caus(?:e|ed|es|ing)|due to|because|result(?:ed|ing)? (?:of|from|in)|trigger(?:ed)?|led to|"
    r"identified|determined|found that|bug|regression|misconfigur\w*|incorrect(?:ly)?|exhaust\w*|overload\w*|"
    r"deploy\w*|rolled back|mitigat\w*|revert\w*|restart\w*|failed over|error|exception|traceback)\b",
    re.IGNORECASE,
)


# What status pages say when there is nothing to say yet.
_BOILERPLATE = re.compile(
    r"\b(?:investigating|continu\w+ to (?:investigate|monitor|see|work)|"
    r"(?:currently|actively|are|is) (?:working|monitoring)|"
    r"(?:provide|share|post) (?:more |further |an |additional )?(?:updates?|details)|updates? (?:as|when|soon)|"
    r"identified the (?:root )?(?:cause|issue|problem)(?: and\b|[.,]?$)|"
    r"(?:issue|incident) has been (?:identified|resolved)|apologi[sz]e|thank you)\b",
    re.IGNORECASE,
)
# How an incident ended: what a responder does not know yet while it goes on.
_RESOLUTION = re.compile(
    r"\b(?:resolv\w+|mitigat\w+|remediat\w+|rolled back|rolling back|roll(?:ed)? ?back|revert\w*|restor\w+|recover\w+|"
    r"fixed|hot-?fix\w*|repair\w*|deployed (?:a|the) fix|fully operational|back to normal|next steps?|"
    r"to prevent|in the future|going forward|post-?mortem|root cause)\b",
    re.IGNORECASE,
)


class Sentence(BaseModel, frozen=True):
    """One sentence; `start` counts characters of the text it is from."""

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
    """The sentences worth reading first, within `max_characters`, in their order.

    The head tells what was seen, the tail how it ended, and sentences with words of cause or remedy hold what is
    looked for: a third of the budget goes to the head, the rest to the others by rank. `worth` ranks them otherwise.
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
    """How many different words of cause or remedy stand in `text`."""
    return len({match.lower() for match in _CAUSE.findall(text)})


def is_boilerplate(text: str) -> bool:
    """Whether it is what status pages say of every incident."""
    return bool(_BOILERPLATE.search(text))


def without_boilerplate(text: str) -> str:
    """The sentences of `text`, a line each, without what status pages say of every incident."""
    return "\n".join(sentence.text for sentence in split(text) if not is_boilerplate(sentence.text))


def before_resolution(sentences: list[Sentence]) -> list[Sentence]:
    """The sentences that don't tell how the incident ended or what was found afterwards; all where none would be left.

    Told by words of mending, recovery and hindsight: what a responder could have written while it still went on.
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
    """The trimmed span as one sentence, or several where it is too long."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return [
        Sentence(start=at, text=text[at : min(at + _MAX_CHARACTERS, end)]) for at in range(start, end, _MAX_CHARACTERS)
    ]
