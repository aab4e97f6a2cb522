"""Words that separate two groups of texts."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from pydantic import BaseModel, Field

_WORD = re.compile(r"[a-z][a-z0-9'’_-]*[a-z0-9]")
# Placeholders of redacted text.
_PLACEHOLDER = re.compile(r"<[A-Z_]+_\d+>")
_LEAST_LETTERS = 3
# Dates and links say nothing about the label.
_DATE_OR_LINK = re.compile(
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)(?:uary|ruary|ch|il|e|y|ust|ember|tember|ober)?"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|utc|p[sd]t|https?|www|com|org|html"
)

# Stop words that matter in a write-up: a disk is full, a rack is on fire.
_MEANINGFUL = {"full", "empty", "fire", "system", "down", "bottom", "fill"}


class Term(BaseModel, frozen=True):
    """A word or two adjacent words. `first` and `second` count the texts of each group that contain it.

    `z` is its log-odds ratio between the groups in standard errors; above 0 it supports the first group. Use it for
    ranking, not as a test: among thousands of terms some reach 2 by chance.
    """

    term: str
    first: int = Field(ge=0)
    second: int = Field(ge=0)
    z: float


def separating_terms(first: Sequence[str], second: Sequence[str], background: Sequence[str]) -> list[Term]:
    """All terms of the two groups, from the strongest for the first to the strongest for the second.

    Log-odds ratios with an informative Dirichlet prior, taken from the frequencies in `background` and weighted like
    the smaller group: B. Monroe, M. Colaresi and K. Quinn, Fightin' words: lexical feature selection and evaluation for
    identifying the content of political conflict, Political Analysis 16 (2008). A term counts once per text, so that
    long texts do not dominate.
    """
    a, b = (Counter(term for text in group for term in terms_of(text)) for group in (first, second))
    usual = Counter(term for text in background for term in terms_of(text)) + a + b
    n_a, n_b = a.total(), b.total()
    if not n_a or not n_b:
        return []
    strength = min(n_a, n_b)
    total = usual.total()
    terms = []
    for term in a.keys() | b.keys():
        prior = strength * usual[term] / total
        odds = [
            math.log((count[term] + prior) / (n + strength - count[term] - prior)) for count, n in ((a, n_a), (b, n_b))
        ]
        error = math.sqrt(1 / (a[term] + prior) + 1 / (b[term] + prior))
        terms.append(Term(term=term, first=a[term], second=b[term], z=round((odds[0] - odds[1]) / error, 4)))
    return sorted(terms, key=lambda found_term: (-found_term.z, found_term.term))


def top_terms(terms: Sequence[Term], *, least_z: float, least_texts: int, most: int) -> tuple[list[Term], list[Term]]:
    """The strongest terms of the first group and of the second; terms that share a word with a better one are left
    out."""
    sides: tuple[list[Term], list[Term]] = [], []
    for side, sign in zip(sides, (1, -1), strict=True):
        taken: set[str] = set()
        for term in sorted(terms, key=lambda candidate: (-sign * candidate.z, -len(candidate.term), candidate.term)):
            words = set(term.term.split())
            texts = term.first if sign > 0 else term.second
            if sign * term.z < least_z or len(side) == most:
                break
            if texts >= least_texts and not words & taken:
                side.append(term)
                taken |= words
    return sides


def terms_of(text: str) -> set[str]:
    """The words of a text and its pairs of adjacent words, in lower case, without stop words."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    common = ENGLISH_STOP_WORDS - _MEANINGFUL
    terms: set[str] = set()
    for line in re.split(r"[\n.;:!?()]", _PLACEHOLDER.sub("\n", text).casefold()):
        words = [word if _is_meaningful(word) and word not in common else "" for word in _WORD.findall(line)]
        terms |= {word for word in words if word}
        terms |= {f"{first} {second}" for first, second in pairwise(words) if first and second}
    return terms


def _is_meaningful(word: str) -> bool:
    return len(word) >= _LEAST_LETTERS and not _DATE_OR_LINK.fullmatch(word)
