"""Looking through the history: by words and meaning together, narrowed by labels, with counts of what is there."""

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
"""So many of the closest in meaning are found whatever their words are."""

_EXCERPT_CHARACTERS = 280
_BEFORE = 80
_NEVER = datetime.min.replace(tzinfo=UTC)


class Piece(NamedTuple):
    """A stretch of an excerpt, and whether it is a word that was searched for."""

    text: str
    is_match: bool


class Hit(NamedTuple):
    """A found incident. `similarity` is the cosine with the search, None where nothing was compared by meaning."""

    example: Example
    similarity: float | None
    excerpt: tuple[Piece, ...]


class Browsed(NamedTuple):
    """What was found, best first: of the `of` that were looked through, `n` fit.

    `counts` is facet -> label -> how many would fit, had that label been chosen too. Labels of one facet are
    alternatives to each other, so a facet's counts disregard what is chosen in it.
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
    """The first `k` that hold a word of `text` or are close to `vector` in meaning; without a text all, newest first.

    `vector` has shape (dimension,) and is needed unless the mode is "words". With both, cosine and BM25 are brought to
    one scale and added, as the ranking of neighbours does. The incidents in `without` are neither found nor counted.
    """
    if not examples:
        return Browsed((), 0, 0, {})
    chosen = {facet: labels for facet, labels in (chosen or {}).items() if labels}
    if text.strip():
        score, similarity, fits = _score(examples, text, vector, mode)
    else:
        score = np.array([(one.occurred_at or _NEVER).timestamp() for one in examples])
        similarity, fits = None, np.ones(len(examples), dtype=bool)
    fits &= np.array([one.incident_id not in without for one in examples])
    # How many of the chosen facets an incident does not fit: one more facet's choice would be the only one missing.
    missed = [
        {facet for facet, labels in chosen.items() if not set(labels) & set(one.labels.get(facet, ()))}
        for one in examples
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
    """Some 280 characters around the first of `words` (in lower case), or the beginning, with the words told apart."""
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
    """The score of each example, its similarity, and whether it is found at all."""
    score, fits, similarity = np.zeros(len(examples)), np.zeros(len(examples), dtype=bool), None
    if mode != "meaning":
        by_words = bm25(text, [one.text for one in examples])
        score, fits = score + standardised(by_words), by_words > 0
    if mode != "words" and vector is not None:
        similarity = (np.stack([one.vector for one in examples]) @ vector).astype(np.float64)
        score = score + standardised(similarity)
        fits = fits.copy()
        fits[np.argsort(-similarity, kind="stable")[:CLOSEST]] = True
    return score, similarity, fits


def _counts(
    examples: Sequence[Example], fits: NDArray[np.bool_], missed: Sequence[set[str]]
) -> Mapping[str, Mapping[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for place, one in enumerate(examples):
        if not fits[place]:
            continue
        for facet, labels in one.labels.items():
            if missed[place] <= {facet}:
                counts.setdefault(facet, Counter()).update(set(labels))
    return counts


def _body(example: Example) -> str:
    return example.text.removeprefix(example.title).strip()
