"""Splits a write-up into sentences, and chooses those that fit a model's budget."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Literal

from pydantic import BaseModel

from triage.domain.lines import Kind, Line, is_telling, read_lines

Section = Literal["", "cause", "events", "remedy", "plans"]
"""What the part of a write-up is about, by its heading."""

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

# Words that say why something failed; the choice of evidence is fitted with these (evals/bench/evidence.py).
_WHY = re.compile(
    r"\b(?:root cause|caus(?:e|ed|es|ing)|due to|because|result(?:ed|ing)? (?:of|from|in)|trigger(?:ed|ing)?|led to|"
    r"leading to|bugs?|defects?|regression|misconfigur\w*|incorrect(?:ly)?|unexpected(?:ly)?|exhaust\w*|overload\w*|"
    r"race condition|fail(?:ed|ing|ure)? to|expos(?:ed|es)|introduc(?:ed|es)|contain(?:ed|s)|deploy\w*|change[sd]?|"
    r"missing|wrong|leak\w*|exception|\w+error)\b",
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


_HEADINGS: dict[Section, tuple[str, str]] = {
    "plans": (
        r"next steps?|action items?|lessons?|follow[ -]?ups?|prevent\w*|improvements?|what went well|"
        r"how are we making|how can (?:we|customers|our customers)|what (?:will|happens) next|maßnahmen|feedback",
        r"再発防止|后续",
    ),
    "cause": (r"(?:root )?causes?|why|trigger\w*|contributing|ursachen?|causa|cause racine|причин\w+", r"原因"),
    "remedy": (
        r"resolution|resolved|resolving|mitigat\w+|remediat\w+|fix|recovery|"
        r"how (?:did )?we (?:ended|fixed|respond\w*|resolved)|"
        r"lösung|behebung|solución|resolución|résolution|решение",
        r"対応|解决|解決",
    ),
    "events": (
        r"what happened|what went wrong|summary|timeline|overview|verlauf|resumen|résumé|chronologie",
        r"概要|経緯|时间线",
    ),
    "": (r"impact|detection|logs?|status|environment|severity", r"影响|影響"),
}
# Headings by what is under them; the first that fits counts.
_SECTIONS: dict[Section, re.Pattern[str]] = {
    section: re.compile(rf"\b(?:{words})\b|{others}", re.IGNORECASE) for section, (words, others) in _HEADINGS.items()
}
_LEAD = re.compile(r"[\s>*_#-]*([^\W\d_][\w -]{2,40}?)[\s*_]*[:：]\s")


_SECTION_WORTH: dict[Section, float] = {"": 0.0, "cause": 3.0, "events": 1.0, "remedy": 2.0, "plans": -1.0}


class Sentence(BaseModel, frozen=True):
    """One sentence; `start` is its offset in the text, `kind` that of its line, `section` that of its heading."""

    start: int
    text: str
    kind: Kind = "prose"
    section: Section = ""

    @property
    def can_show(self) -> bool:
        """Whether it can be evidence: no heading, and no log line but one that names an exception or a resource."""
        return self.kind != "heading" and (self.kind != "log" or is_telling(self.text))


def split(text: str) -> list[Sentence]:
    """The sentences and lines of `text` that are read, in order, each at most 400 characters.

    Comments, hints of templates and marks are left out, and of repeated log lines the first is kept: see `read_lines`.
    """
    sentences: list[Sentence] = []
    section: Section = ""
    for kind, group in groupby(read_lines(text), key=lambda line: line.kind):
        for start, end in _sentences_of(text, kind, list(group)):
            lead = None if kind in ("heading", "log", "table") else _LEAD.match(text, start, end)
            # The head of a table is no heading of the text.
            if lead or (kind == "heading" and not text[start:end].lstrip().startswith("|")):
                section = _section(lead[1] if lead else text[start:end], otherwise=section if lead else "")
            sentences += _pieces(text, start, end, kind, section)
    return sentences


def _sentences_of(text: str, kind: Kind, lines: list[Line]) -> Iterator[tuple[int, int]]:
    """The spans of the sentences in adjacent lines of one kind; only prose and quotes have sentences over lines."""
    if kind not in ("prose", "quote"):
        yield from ((line.start, line.end) for line in lines)
        return
    for first, last in _adjacent(text, lines):
        start = first
        for match in [*_BOUNDARY.finditer(text, first, last), None]:
            end = match.start() if match else last
            last_word = text[max(start, end - _LONGEST_ABBREVIATION) : end]
            if match and "\n" not in match.group() and _ABBREVIATION.search(last_word):
                continue
            yield start, end
            start = match.end() if match else end


def _adjacent(text: str, lines: list[Line]) -> Iterator[tuple[int, int]]:
    """The spans of lines with nothing but white space between them."""
    start, end = lines[0].start, lines[0].end
    for line in lines[1:]:
        if text[end : line.start].strip():
            yield start, end
            start = line.start
        end = line.end
    yield start, end


def _section(heading: str, otherwise: Section) -> Section:
    return next((section for section, words in _SECTIONS.items() if words.search(heading)), otherwise)


def condense(
    sentences: list[Sentence], max_characters: int, worth: Callable[[Sentence], float] | None = None
) -> list[Sentence]:
    """The most informative sentences within `max_characters`, in their order.

    A third of the budget goes to the head, which says what was seen. The rest goes to the other sentences by rank:
    those under headings of cause and remedy, those with words of it, and the last ones, or those that `worth` ranks
    highest.
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
        key=lambda i: (-(worth(sentences[i]) if worth else _worth(sentences[i]) + 0.5 * (i >= last - 1)), i),
    )
    for index in ranked:
        if len(sentences[index].text) <= left:
            chosen.add(index)
            left -= len(sentences[index].text)
    return [sentences[i] for i in sorted(chosen)]


def _worth(sentence: Sentence) -> float:
    """How much a sentence is worth reading. Log lines say 'error' of everything: one counts as one word of cause."""
    if not sentence.can_show:
        return 0.0
    if sentence.kind == "log":
        return 1.0
    return cause_words(sentence.text) + _SECTION_WORTH[sentence.section]


def cause_words(text: str) -> int:
    """The number of different words of cause or remedy in `text`."""
    return len(_different(_CAUSE, text))


def why_words(text: str) -> int:
    """The number of different words in `text` that say why something failed."""
    return len(_different(_WHY, text))


def ending_words(text: str) -> int:
    """The number of different words in `text` that say how an incident ended."""
    return len(_different(_RESOLUTION, text) - {"root cause"})


def _different(words: re.Pattern[str], text: str) -> set[str]:
    return {match.lower() for match in words.findall(text)}


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


def _pieces(text: str, start: int, end: int, kind: Kind, section: Section) -> list[Sentence]:
    """The trimmed span as one sentence, or several if it is too long."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return [
        Sentence(start=at, text=text[at : min(at + _MAX_CHARACTERS, end)], kind=kind, section=section)
        for at in range(start, end, _MAX_CHARACTERS)
    ]
