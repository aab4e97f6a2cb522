"""Sentences of a write-up about impact and times, and how quotes, times and annotators are written in Markdown.

Sentences are found by English words; write-ups in other languages have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from triage.domain.annotation import Annotation
from triage.history.duplicates import is_near_duplicate
from triage.pipeline.classification.sentences import is_boilerplate
from triage.render.markdown import plain, shortened

MOST_IMPACT = 3

_WHO = re.compile(
    r"\b(?:users?|customers?|clients?|callers?|tenants?|subscribers?|visitors?|people|requests?|traffic|calls?|jobs?|"
    r"sessions?|orders?|transactions?|queries|messages?|workloads?|connections?|deployments?)\b",
    re.IGNORECASE,
)
_WHAT = re.compile(
    r"\b(?:unable|could ?n[o']t|cannot|unavailab\w+|inaccessible|unreachable|unresponsive|fail(?:ed|s|ing|ures?)?|"
    r"errors?|tim(?:ed|ing) out|time-?outs?|slow(?:er|ly|ness)?|latenc(?:y|ies)|delay(?:ed|s)?|degrad\w+|down|offline|"
    r"lost|loss|dropped|rejected|incorrect|wrong|corrupt\w*|affect(?:ed|ing|s)|impact(?:ed|ing|s)?|outages?|"
    r"interrupt\w*|disrupt\w*|intermittent\w*)\b",
    re.IGNORECASE,
)
_HOW_MUCH = re.compile(
    r"\d(?:[\d.,]*\d)? ?%|\bper ?cent\b|"
    r"\b(?:an?|one|two) (?:third|half|quarter|subset|fraction|small number|handful)s?\b|"
    r"\b(?:half|most|all|some|many|few|every) (?:of (?:the |our )?)?(?:\w+ )?(?:users?|customers?|requests?|regions?|"
    r"traffic|calls?)\b|\b\d[\d.,]* (?:users?|customers?|requests?|jobs?|orders?|messages?|minutes|hours)\b",
    re.IGNORECASE,
)
# Findings, statements and actions, past or planned, are not impact.
_ABOUT_WORK = re.compile(
    r"\b(?:will|going forward|in the future|to prevent|next steps?|we plan|plans? to|root cause|apologi[sz]e|"
    r"review\w* (?:our|the)|subscribe\w*|learn more|diagnos\w*|troubleshoot\w*|investigat\w*|communicat\w*|"
    r"mitigat\w*|revert\w*|rolled back|hypothes\w*)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(?<![\d:.])(?:[01]?\d|2[0-3]):[0-5]\d(?!\d)")
_LEAST_WORDS = 5


def impact(sentences: Sequence[str]) -> list[str]:
    """At most three sentences that say who or what was affected and how, in the order of the write-up."""
    worth = [(_impact_of(sentence), place) for place, sentence in enumerate(sentences)]
    ranked = sorted((pair for pair in worth if pair[0] > 0), key=lambda pair: (-pair[0], pair[1]))
    chosen: list[int] = []
    for _, place in ranked:
        if not any(is_near_duplicate(sentences[place], sentences[other]) for other in chosen):
            chosen.append(place)
        if len(chosen) == MOST_IMPACT:
            break
    return [sentences[place] for place in sorted(chosen)]


def timed(sentences: Sequence[str]) -> list[str]:
    """The sentences with a time of day, in order, without near duplicates.

    Of sentences that only say that work continues, the first one is kept: it shows when others were informed.
    """
    chosen: list[str] = []
    for sentence in sentences:
        is_new = _CLOCK.search(sentence) and not (chosen and is_boilerplate(sentence))
        if is_new and not any(is_near_duplicate(sentence, other) for other in chosen):
            chosen.append(sentence)
    return chosen


def _impact_of(sentence: str) -> float:
    """How much a sentence says about impact: 0 unless it says what went wrong, and for whom or how much."""
    if len(sentence.split()) < _LEAST_WORDS or is_boilerplate(sentence) or _ABOUT_WORK.search(sentence):
        return 0.0
    affected, failures = (len({word.casefold() for word in found.findall(sentence)}) for found in (_WHO, _WHAT))
    how_much = len(_HOW_MUCH.findall(sentence))
    if not failures or not (affected or how_much):
        return 0.0
    return min(affected, 2) + min(failures, 3) + 1.5 * min(how_much, 2)


_QUOTE_CHARACTERS = 400


def moment(at: datetime) -> str:
    """The time in UTC, to the minute."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def text(words: str, most: int = _QUOTE_CHARACTERS) -> str:
    """Text from outside on one line, cut at `most` characters."""
    return plain(shortened(words, most))


def quoted(sentences: Iterable[str]) -> list[str]:
    """Quotes, one line each, with an empty line after each."""
    return [line for sentence in sentences for line in (f"> “{text(sentence)}”", "")]


def teller(annotation: Annotation) -> str:
    """Who gave a label, and when."""
    name = plain(annotation.annotator)
    if annotation.origin != "human":
        name += f" ({annotation.origin}, no person)"
    return f"{name}, {annotation.created_at.astimezone(UTC):%Y-%m-%d}"
