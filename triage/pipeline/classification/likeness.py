"""Similarity of a write-up's sentences to the labels' definitions: a source of the decision, and of evidence."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.history import Example
from triage.models.embedding import Embedder, Vectors
from triage.models.embedding.cache import embed_cached
from triage.pipeline.classification.cues import count_in, cues_of_label
from triage.pipeline.classification.sentences import (
    Section,
    Sentence,
    ending_words,
    is_boilerplate,
    split,
    why_words,
)
from triage.pipeline.mitigation import kind_facets

SHARPNESS = 12.0
"""A cosine similarity higher by 1/12 makes a label e times as likely."""


class EvidenceWeights(NamedTuple):
    """What makes a sentence the one that shows a label; fitted by evals/bench/evidence.py, see docs/results.md.

    `words` counts words that say why where a facet names the kind of incident, and words that say how it ended where
    it names the mitigation; `section` is for sentences under a heading of the cause or of the remedy. A best sentence
    below `floor` shows nothing; `floor_without_words` is that of the other facets.
    """

    likeness: float = 3.3
    cue: float = 2.7
    words: float = 1.3
    section: float = 2.4
    ending: float = -0.7
    boilerplate: float = -0.8
    scrap: float = -1.4
    log: float = -1.3
    floor: float = 2.0
    floor_without_words: float = 1.0


EVIDENCE_WEIGHTS = EvidenceWeights()
_MOST_WORDS = 2
_SCRAP_WORDS = 6
_READ_SENTENCES = 60
_COUNTED_SENTENCES = 3
_COUNTED_PHRASES = 2
REFERENCE_INCIDENTS = 24
_KEPT_INCIDENTS = 2_000
_KEPT_REFERENCES = 100

Moves = dict[str, dict[str, float]]
"""Facet -> label -> the change of what is subtracted from its score."""


class Theme(NamedTuple):
    """The section of a write-up that tells the labels of a facet, and their cues: label -> phrases."""

    section: Section
    cues: dict[str, tuple[str, ...]]


class Likeness(NamedTuple):
    """The similarity of one write-up to the definitions.

    `distributions` is facet -> label -> probability. `sentences` are those compared. `shares` is facet -> label -> how
    much more similar each sentence is to the label than sentences of other incidents are. `themes` is per facet.
    """

    distributions: dict[str, dict[str, float]]
    sentences: tuple[Sentence, ...]
    shares: dict[str, dict[str, Vectors]]
    themes: Mapping[str, Theme] = {}

    def evidence(self, facet: str, label: str) -> Sentence | None:
        """The sentence that shows `label` best; None if none shows it."""
        if label not in self.shares.get(facet, {}):
            return None
        scores = self.scores(facet, label)
        best = int(np.argmax(scores))
        return self.sentences[best] if scores[best] >= self._floor(facet) else None

    def separating(self, facet: str, label: str, rival: str) -> Sentence | None:
        """The sentence that supports `label` most against `rival`; None without sentences."""
        shares = self.shares.get(facet, {})
        if label not in shares or rival not in shares:
            return None
        scores = self.scores(facet, label) - self._support(facet, rival, EVIDENCE_WEIGHTS)
        return self.sentences[int(np.argmax(scores))]

    def scores(self, facet: str, label: str, weights: EvidenceWeights = EVIDENCE_WEIGHTS) -> Vectors:
        """How much each sentence shows the label; minus infinity for headings and log lines that name nothing."""
        section = self.themes[facet].section
        worth = [_worth(each, section, weights) if each.can_show else -np.inf for each in self.sentences]
        return self._support(facet, label, weights) + np.array(worth, dtype=np.float32)

    def _support(self, facet: str, label: str, weights: EvidenceWeights) -> Vectors:
        """What each sentence says for the label: its similarity to the definition, and the label's cues in it."""
        cues = count_in(self.themes[facet].cues[label], [sentence.text for sentence in self.sentences])
        support = weights.likeness * self.shares[facet][label] + weights.cue * cues
        return np.asarray(support, dtype=np.float32)

    def _floor(self, facet: str) -> float:
        """Fitted where labels have cues; without, a sentence must be more similar than those of other incidents."""
        theme = self.themes[facet]
        if not any(theme.cues.values()):
            return 0.0
        return EVIDENCE_WEIGHTS.floor if theme.section else EVIDENCE_WEIGHTS.floor_without_words


class DefinitionReader:
    """Compares the embeddings of sentences with those of the labels' names, definitions, inclusions and examples.

    A label's score is the mean over its three most similar sentences, each compared with its two most similar phrases.
    The mean score of other incidents of the history is subtracted, because a broad label is similar to everything.
    Needs no training. Chosen on development data, see docs/results.md. With `kept_in`, the vectors of the definitions
    are stored in that folder.
    """

    def __init__(self, embedder: Embedder, taxonomy: Taxonomy, kept_in: Path | None = None) -> None:
        self._embedder = embedder
        self._facets = taxonomy.triaged
        self._themes = _themes(taxonomy)
        self._kept_in = kept_in
        self._phrases: dict[tuple[str, str], Vectors] = {}
        self._usual: tuple[tuple[tuple[str, str], ...], dict[tuple[str, str], tuple[float, float]]] | None = None
        self._sentences: OrderedDict[tuple[str, str], Vectors] = OrderedDict()
        self._reached: OrderedDict[tuple[str, str], dict[tuple[str, str], tuple[float, float]]] = OrderedDict()

    async def prepare(self) -> None:
        """Embed the taxonomy's phrases, once."""
        if self._phrases:
            return
        phrases_of = {(facet.id, label.id): phrases(label) for facet in self._facets for label in facet.labels}
        distinct = list(dict.fromkeys(phrase for each in phrases_of.values() for phrase in each))
        vectors = await embed_cached(self._embedder, distinct, self._kept_in)
        row_of = {phrase: row for row, phrase in enumerate(distinct)}
        self._phrases = {name: vectors[[row_of[phrase] for phrase in each]] for name, each in phrases_of.items()}

    async def read(self, sentences: Sequence[Sentence], reference: Sequence[Example] = ()) -> Likeness:
        """Compare `sentences` with every label of every triaged facet; `reference` incidents are the baseline."""
        await self.prepare()
        read = tuple(s for s in sentences if s.text.strip())[:_READ_SENTENCES]
        if not read:
            return Likeness({}, (), {})
        return await self._compare(read, await self._embedder.embed([sentence.text for sentence in read]), reference)

    async def read_example(self, example: Example, reference: Sequence[Example] = ()) -> Likeness:
        """Compare the sentences of an incident of the history; their vectors are cached."""
        await self.prepare()
        read = tuple(s for s in split(example.text) if s.text.strip())[:_READ_SENTENCES]
        return await self._compare(read, await self._of_incident(example), reference) if read else Likeness({}, (), {})

    async def difference(self, before: Sequence[Example], after: Sequence[Example]) -> Moves:
        """How much more is subtracted from each label's score with reference `after` than with `before`."""
        await self.prepare()
        was, becomes = await self._usual_of(representative(before)), await self._usual_of(representative(after))
        moves: Moves = {facet.id: {} for facet in self._facets}
        for facet, label in was:
            moves[facet][label] = becomes[facet, label][0] - was[facet, label][0]
        return moves

    async def _compare(self, read: tuple[Sentence, ...], vectors: Vectors, reference: Sequence[Example]) -> Likeness:
        usual = await self._usual_of(representative(reference))
        distributions: dict[str, dict[str, float]] = {}
        shares: dict[str, dict[str, Vectors]] = {}
        for facet in self._facets:
            shares[facet.id] = {}
            scores: dict[str, float] = {}
            for label in facet.ids:
                likeness = self._like(vectors, facet, label)
                summit, typical = usual[facet.id, label]
                scores[label] = _summit(likeness) - summit
                shares[facet.id][label] = likeness - typical
            distributions[facet.id] = _softmax(scores)
        return Likeness(distributions, read, shares, self._themes)

    async def _usual_of(self, reference: Sequence[Example]) -> dict[tuple[str, str], tuple[float, float]]:
        """(facet, label) -> mean score of the reference's incidents, and mean similarity of their sentences.

        The last result is cached: an incident and the one it is contrasted with share their reference.
        """
        key = tuple((example.incident_id, example.text) for example in reference)
        if self._usual is None or self._usual[0] != key:
            every = [reached for example in reference if (reached := await self._reached_by(example))]
            usual = {
                (facet.id, label): (
                    float(np.mean([reached[facet.id, label][0] for reached in every])) if every else 0.0,
                    float(np.mean([reached[facet.id, label][1] for reached in every])) if every else 0.0,
                )
                for facet in self._facets
                for label in facet.ids
            }
            self._usual = key, usual
            return usual
        return self._usual[1]

    async def _reached_by(self, example: Example) -> dict[tuple[str, str], tuple[float, float]]:
        """The scores of an incident of the reference, and the mean similarity of its sentences; empty without any."""
        key = (example.incident_id, example.text)
        if key not in self._reached:
            vectors = await self._of_incident(example)
            self._reached[key] = {
                (facet.id, label): (_summit(likeness), float(likeness.mean()))
                for facet in (self._facets if len(vectors) else ())
                for label in facet.ids
                for likeness in (self._like(vectors, facet, label),)
            }
            while len(self._reached) > _KEPT_REFERENCES:
                self._reached.popitem(last=False)
        return self._reached[key]

    def _like(self, vectors: Vectors, facet: Facet, label: str) -> Vectors:
        """Each sentence's mean cosine similarity to the two closest phrases of the label."""
        similarity = vectors @ self._phrases[facet.id, label].T
        closest: Vectors = np.sort(similarity, axis=1)[:, -_COUNTED_PHRASES:].mean(axis=1)
        return closest

    async def _of_incident(self, example: Example) -> Vectors:
        """The vectors of a past incident's sentences; cached, because every incident is compared with the same ones."""
        key = (example.incident_id, example.text)
        if key not in self._sentences:
            texts = [s.text for s in split(example.text) if s.text.strip()][:_READ_SENTENCES]
            self._sentences[key] = await self._embedder.embed(texts) if texts else np.zeros((0, 1), dtype=np.float32)
            while len(self._sentences) > _KEPT_INCIDENTS:
                self._sentences.popitem(last=False)
        return self._sentences[key]


def moved(shares: Mapping[str, float], moves: Mapping[str, float]) -> dict[str, float]:
    """A facet's distribution by the definitions, changed to another reference; see `difference`.

    The reference subtracts a constant from each label's score, so no sentence has to be compared again.
    """
    weights = {label: share * math.exp(-SHARPNESS * moves.get(label, 0.0)) for label, share in shares.items()}
    total = sum(weights.values())
    return {label: weight / total for label, weight in weights.items()} if total else dict(shares)


def _themes(taxonomy: Taxonomy) -> dict[str, Theme]:
    kinds = {facet.id for facet in kind_facets(taxonomy)}
    return {
        facet.id: Theme(
            "cause" if facet.id in kinds else "remedy" if facet.role == "mitigation" else "",
            {label.id: cues_of_label(facet, label, taxonomy) for label in facet.labels},
        )
        for facet in taxonomy.triaged
    }


def _worth(sentence: Sentence, section: Section, weights: EvidenceWeights) -> float:
    """What a sentence is worth as evidence of a label about this section."""
    text = sentence.text
    is_empty = is_boilerplate(text)
    worth = weights.boilerplate * is_empty + weights.scrap * (len(text.split()) < _SCRAP_WORDS)
    worth += weights.log * (sentence.kind == "log") + weights.section * (section != "" and sentence.section == section)
    endings = min(ending_words(text), _MOST_WORDS)
    if section == "cause":
        return worth + weights.words * min(why_words(text), _MOST_WORDS + 1) + weights.ending * endings
    return worth + weights.words * endings * (section == "remedy" and not is_empty)


def phrases(label: Label) -> list[str]:
    """The name, definition, inclusions and example of a label, as phrases."""
    return [label.name, label.definition, *label.includes, label.example]


def representative(examples: Sequence[Example]) -> list[Example]:
    """The reference incidents: the same ones as long as they are in the history."""
    return in_reference_order(examples)[:REFERENCE_INCIDENTS]


def in_reference_order(examples: Sequence[Example]) -> list[Example]:
    """The incidents in the order in which they are chosen as reference."""
    return sorted(examples, key=lambda example: hashlib.sha256(example.incident_id.encode()).digest())


def _summit(likeness: Vectors) -> float:
    return float(np.sort(likeness)[-_COUNTED_SENTENCES:].mean())


def _softmax(scores: Mapping[str, float]) -> dict[str, float]:
    most = max(scores.values())
    shares = {label: math.exp(SHARPNESS * (score - most)) for label, score in scores.items()}
    return {label: share / sum(shares.values()) for label, share in shares.items()}
