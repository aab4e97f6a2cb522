"""The similarity of label texts, and the words that changed between two versions of a text."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from triage.domain.taxonomy import Label
from triage.models.embedding import normalise

_MOSTLY_NEW = 0.5
_CLOSING = ".,;:"

Matrix = NDArray[np.float64]

Run = Literal["same", "removed", "added"]

Similarity = Callable[[Sequence[str]], Matrix]
"""Texts -> pairwise similarities from 0 to 1, shape (texts, texts)."""


class Rewording(BaseModel, frozen=True):
    """A changed part of a label or facet, with the removed and added runs of words or list items."""

    part: str
    old: str
    new: str
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def lexical(texts: Sequence[str]) -> Matrix:
    """Cosine similarity of TF-IDF vectors over these texts.

    Source: Salton and Buckley, 'Term-weighting approaches in automatic text retrieval', Information Processing and
    Management 24 (1988); document frequencies are smoothed by one.
    """
    bags = [Counter(map(_stem, re.findall(r"\w+", text.casefold()))) for text in texts]
    position = {word: index for index, word in enumerate(sorted(set().union(*bags)))}
    counts = np.zeros((len(texts), len(position)))
    for row, bag in enumerate(bags):
        counts[row, [position[word] for word in bag]] = list(bag.values())
    rarity = np.log((1 + len(texts)) / (1 + (counts > 0).sum(axis=0))) + 1
    weights = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * rarity
    unit = normalise(weights)
    return np.asarray(np.clip(unit @ unit.T, 0, 1), dtype=np.float64)


def meaning(label: Label) -> str:
    """The label's own text, without exclusions and deciding rule, which are about its rivals."""
    return " ".join((label.name, label.definition, *label.includes))


def is_same(old: str, new: str) -> bool:
    """True if the texts differ at most in white space, case and closing punctuation."""
    return _normal(old) == _normal(new)


def rewordings(old: Label, new: Label, renamed: Mapping[str, str]) -> Iterator[Rewording]:
    """The changed parts that decide when a label is used, ignoring renames of other labels."""
    for part in ("definition", "includes", "excludes", "deciding_rule"):
        before, after = getattr(old, part), getattr(new, part)
        if isinstance(before, str):
            if not is_same(before, after) and not is_same(_follow(before, renamed), after):
                yield reworded(part, before, after)
            continue
        now = {_normal(item) for item in after}
        known = {_normal(text) for item in before for text in (item, _follow(item, renamed))}
        removed = tuple(i for i in before if _normal(i) not in now and _normal(_follow(i, renamed)) not in now)
        added = tuple(item for item in after if _normal(item) not in known)
        if removed or added:
            yield Rewording(part=part, old="; ".join(before), new="; ".join(after), removed=removed, added=added)


def reworded(part: str, old: str, new: str) -> Rewording:
    """A changed text, with its removed and added runs of words."""
    runs = list(word_runs(old, new))
    removed, added = (
        tuple(words.rstrip(_CLOSING) for kind, words in runs if kind == run) for run in ("removed", "added")
    )
    return Rewording(part=part, old=old, new=new, removed=removed, added=added)


def word_runs(old: str, new: str) -> Iterator[tuple[Run, str]]:
    """Both texts as runs of same, removed and added words; a mostly new text is one removed and one added run."""
    before, after = old.split(), new.split()
    matcher = difflib.SequenceMatcher(None, list(map(_normal, before)), list(map(_normal, after)), autojunk=False)
    if matcher.ratio() < _MOSTLY_NEW:
        yield "removed", old
        yield "added", new
        return
    for code, i, j, k, m in matcher.get_opcodes():
        if code == "equal":
            yield "same", " ".join(after[k:m])
            continue
        if i < j:
            yield "removed", " ".join(before[i:j])
        if k < m:
            yield "added", " ".join(after[k:m])


def _normal(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(_CLOSING)


def _follow(text: str, renamed: Mapping[str, str]) -> str:
    return re.sub(r"\w+", lambda match: renamed.get(match.group(), match.group()), text)


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
