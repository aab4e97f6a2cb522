"""Cues: words and phrases that point to a label, counted where a write-up says why it happened."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.pipeline.classification.sentences import cause_words, is_boilerplate, split

_CAUSE_SENTENCES = 3
_READ_CHARACTERS = 6_000

Cues = tuple[tuple[str, ...], ...]
"""The cues of some labels."""


def cues_of(taxonomy: Taxonomy, facet: Facet) -> Cues:
    """The cues of the facet's labels; those of its child facets where it has none; empty without any."""
    facets = [facet, *(other for other in taxonomy.facets if other.parent == facet.id)]
    return next((cues for each in facets if any(cues := tuple(label.cues for label in each.labels))), ())


def cues_of_label(facet: Facet, label: Label, taxonomy: Taxonomy) -> tuple[str, ...]:
    """The cues of a label; those of the labels under it where it has none."""
    under = (child for other in taxonomy.facets if other.parent == facet.id for child in other.children((label.id,)))
    return label.cues or tuple(cue for child in under for cue in child.cues)


def count_in(cues: tuple[str, ...], texts: Sequence[str]) -> NDArray[np.float64]:
    """log(1 + count) of these cues in each of `texts`; shape (len(texts),)."""
    pattern = cue_patterns((cues,))[0]
    counts: NDArray[np.float64] = np.log1p(np.array([len(pattern.findall(text)) for text in texts], dtype=np.float64))
    return counts


def has_cue(cues: Cues, text: str) -> bool:
    """Whether any of these cues is in `text`."""
    return any(pattern.search(text) for pattern in cue_patterns(cues))


def count_cues(cues: Cues, texts: Sequence[str]) -> NDArray[np.float64]:
    """log(1 + count) of each label's cues in three parts of each text; shape (len(texts), 3 * len(cues)).

    The parts are the first line, the three sentences with most words of cause or remedy, and the whole text. Headings
    and log lines are in the whole only, but for log lines that name an exception or a resource.
    """
    return np.array([_count(cues, text) for text in texts]).reshape(len(texts), 3 * len(cues))


@lru_cache(maxsize=4_096)
def _count(cues: Cues, text: str) -> NDArray[np.float64]:
    occurrences = [len(pattern.findall(part)) for part in _parts(text) for pattern in cue_patterns(cues)]
    counts: NDArray[np.float64] = np.log1p(np.array(occurrences, dtype=np.float64))
    return counts


@lru_cache(maxsize=4_096)
def _parts(text: str) -> tuple[str, str, str]:
    sentences = [sentence.text for sentence in split(text[:_READ_CHARACTERS]) if sentence.can_show]
    # `sorted` is stable: of equal sentences the first ones are chosen.
    telling = sorted(sentences, key=lambda sentence: 5 * is_boilerplate(sentence) - cause_words(sentence))
    return text.partition("\n")[0], " . ".join(telling[:_CAUSE_SENTENCES]), text[:_READ_CHARACTERS]


@lru_cache(maxsize=512)
def cue_patterns(cues: Cues) -> tuple[re.Pattern[str], ...]:
    """For each label, the pattern that finds its cues in a text; one that never matches where it has none."""
    return tuple(re.compile("|".join(map(_pattern, phrases)) or r"(?!)", re.IGNORECASE) for phrases in cues)


def _pattern(cue: str) -> str:
    """The cue as whole words, with any spacing or hyphen between them; `*` stands for any ending."""
    words = re.escape(cue).replace(r"\*", r"\w*").replace(r"\ ", r"[\s_-]+")
    return rf"(?<!\w){words}(?!\w)" if cue[:1].isalnum() and (cue[-1:].isalnum() or cue.endswith("*")) else words
