"""Browsing the history: search by words and meaning, filters by label, and counts per label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from triage.domain.annotation import Labels
from triage.history import Example
from triage.history.retrieval import WORD, bm25, content_words, standardised
from triage.models.embedding import Vectors

Mode = Literal["both", "words", "meaning"]

CLOSEST = 50
"""This many of the closest in meaning are found, whatever their words."""

_EXCERPT_CHARACTERS = 280
_BEFORE = 80
_NEVER = datetime.min.replace(tzinfo=UTC)


class Piece(NamedTuple):
    """A part of an excerpt, and whether it is a searched word."""

    text: str
    is_match: bool


class Hit(NamedTuple):
    """A found incident. `similarity` is the cosine with the query, None in a search by words only."""

    example: Example
    similarity: float | None
    excerpt: tuple[Piece, ...]


class Browsed(NamedTuple):
    """What was found, best first: `n` of `of` incidents match.

    `counts` is facet -> label -> how many would match with that label chosen too. Labels of one facet are alternatives,
    so a facet's counts ignore the choice in it.
    """

    hits: tuple[Hit, ...]
    n: int
    of: int
    counts: Mapping[str, Mapping[str, int]]


def browse(
    examples: Sequence[Example],
    text: str = "",
    vector: Vectors | None = None,
    *,
    chosen: Labels | None = None,
    mode: Mode = "both",
    k: int = 20,
    without: Collection[str] = (),
) -> Browsed:
    """The first `k` that contain a word of `text` or are close to `vector`; without a text all, newest first.

    `vector` has shape (dimension,) and is needed unless the mode is "words". In mode "both" cosine and BM25 are
    standardised and added, as in the ranking of neighbours. Incidents in `without` are neither found nor counted.
    """
    if not examples:
        return Browsed((), 0, 0, {})
    chosen = {facet: labels for facet, labels in (chosen or {}).items() if labels}
    if text.strip():
        score, similarity, fits = _score(examples, text, vector, mode)
    else:
        score = np.array([(example.occurred_at or _NEVER).timestamp() for example in examples])
        similarity, fits = None, np.ones(len(examples), dtype=bool)
    fits &= np.array([example.incident_id not in without for example in examples])
    # The chosen facets that an incident does not match. If it is one facet, that facet's counts include the incident.
    missed = [
        {facet for facet, labels in chosen.items() if not set(labels) & set(example.labels.get(facet, ()))}
        for example in examples
    ]
    found = [place for place in range(len(examples)) if fits[place] and not missed[place]]
    found.sort(key=lambda place: (-score[place], examples[place].incident_id))
    words = frozenset(content_words(text))
    hits = tuple(
        Hit(
            examples[place],
            None if similarity is None else float(similarity[place]),
            excerpt(_body(examples[place]), words),
        )
        for place in found[:k]
    )
    return Browsed(hits, len(found), len(examples), _counts(examples, fits, missed))


def excerpt(text: str, words: frozenset[str]) -> tuple[Piece, ...]:
    """Some 280 characters around the first of `words` (lower case), or from the start, with the words marked."""
    first = next((match.start() for match in WORD.finditer(text) if match.group().casefold() in words), 0)
    begin = 0 if first <= _BEFORE else text.find(" ", first - _BEFORE) + 1 or first
    shown = text[begin : begin + _EXCERPT_CHARACTERS]
    is_cut = begin + len(shown) < len(text)
    if is_cut:
        # Not in the middle of a word.
        shown = shown[: shown.rfind(" ")] if " " in shown[_BEFORE:] else shown
    pieces, end = list[Piece](), 0
    for match in WORD.finditer(shown):
        if match.group().casefold() in words:
            pieces += [Piece(shown[end : match.start()], False), Piece(match.group(), True)]
            end = match.end()
    pieces.append(Piece(shown[end:], False))
    before = [Piece("… ", False)] if begin else []
    after = [Piece(" …", False)] if is_cut else []
    return tuple(piece for piece in (*before, *pieces, *after) if piece.text)


def _score(
    examples: Sequence[Example], text: str, vector: Vectors | None, mode: Mode
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, NDArray[np.bool_]]:
    """The score of each example, its similarity, and whether it is found."""
    score, fits, similarity = np.zeros(len(examples)), np.zeros(len(examples), dtype=bool), None
    if mode != "meaning":
        by_words = bm25(text, [example.text for example in examples])
        score, fits = score + standardised(by_words), by_words > 0
    if mode != "words" and vector is not None:
        similarity = (np.stack([example.vector for example in examples]) @ vector).astype(np.float64)
        score = score + standardised(similarity)
        fits = fits.copy()
        fits[np.argsort(-similarity, kind="stable")[:CLOSEST]] = True
    return score, similarity, fits


def _counts(
    examples: Sequence[Example], fits: NDArray[np.bool_], missed: Sequence[set[str]]
) -> Mapping[str, Mapping[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for place, example in enumerate(examples):
        if not fits[place]:
            continue
        for facet, labels in example.labels.items():
            if missed[place] <= {facet}:
                counts.setdefault(facet, Counter()).update(set(labels))
    return counts


def _body(example: Example) -> str:
    return example.text.removeprefix(example.title).strip()
