"""Linear classifiers trained on the history: on the words of a write-up, on its embedding, and on its cues."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from triage.domain.annotation import Labels
from triage.domain.lines import clean_text
from triage.domain.taxonomy import Facet, Taxonomy
from triage.history import Example
from triage.models.embedding import Vectors
from triage.pipeline.classification.cues import Cues, count_cues, cues_of

LEAST_INCIDENTS = 20
"""A facet with fewer labelled incidents has no classifiers."""

_MINIMUM_PER_LABEL = 2
_MINIMUM_TEXTS = 2
_WORDS_STRENGTH = 1.0
_EMBEDDING_STRENGTH = 10.0
_CUES_STRENGTH = 3.0
_CUES_SCALE = 0.3
"""The weight of the standardised counts of cues beside an embedding of length 1; chosen on development data."""
_SMALLEST_SPREAD = 0.3
_CACHED = 16

Distributions = dict[str, dict[str, float]]


class Vocabulary:
    """The words and pairs of words that occur in at least two of some texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import CountVectorizer

        self._vectorizer = CountVectorizer(ngram_range=(1, 2), min_df=2)
        try:
            self._vectorizer.fit(texts)
        except ValueError:  # no word is in two texts
            self._vectorizer = None

    def count(self, texts: Sequence[str]) -> Any:
        """Their counts in each of `texts`, as a sparse matrix; None for an empty vocabulary."""
        return None if self._vectorizer is None else self._vectorizer.transform(texts)


class CueModel(NamedTuple):
    """A classifier of one facet on its cues and the embedding; the counts are standardised."""

    cues: Cues
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    model: Any

    @classmethod
    def train(cls, cues: Cues, texts: Sequence[str], vectors: Vectors, gold: NDArray[np.object_]) -> CueModel:
        """A classifier trained on these incidents."""
        counts = count_cues(cues, texts)
        mean, scale = counts.mean(axis=0), _CUES_SCALE / (counts.std(axis=0) + _SMALLEST_SPREAD)
        return cls(
            cues, mean, scale, _regression(_CUES_STRENGTH).fit(np.hstack([(counts - mean) * scale, vectors]), gold)
        )

    def predict(self, texts: Sequence[str], vectors: Vectors) -> list[dict[str, float]]:
        """For each incident: label -> probability."""
        counts = (count_cues(self.cues, texts) - self.mean) * self.scale
        return _probabilities(self.model, np.hstack([counts, vectors]))


class LinearModels(NamedTuple):
    """The classifiers of one facet: on TF-IDF of some columns of `vocabulary`, and on the cues or the embedding."""

    vocabulary: Vocabulary
    words: tuple[Any, Any, Any] | None
    embedding: Any
    cues: CueModel | None

    def predict(self, texts: Sequence[str], vectors: Vectors) -> list[Distributions]:
        """For each incident: source (`words`, `embedding`, `cues`) -> label -> probability.

        `vectors` have shape (incidents, dimension).
        """
        if self.cues is not None:
            predictions: list[Distributions] = [{"cues": row} for row in self.cues.predict(texts, vectors)]
        else:
            predictions = [{"embedding": row} for row in _probabilities(self.embedding, vectors)]
        if self.words is not None:
            columns, tfidf, model = self.words
            rows = _probabilities(model, tfidf.transform(self.vocabulary.count(texts)[:, columns]))
            for prediction, row in zip(predictions, rows, strict=True):
                prediction["words"] = row
        return predictions


class TrainingSet:
    """Incidents of the history, counted once, so that classifiers can be trained on any part of them."""

    def __init__(self, taxonomy: Taxonomy, examples: Sequence[Example]) -> None:
        self._taxonomy = taxonomy
        self._texts = [clean_text(example.text) for example in examples]
        self._vocabulary = Vocabulary(self._texts)
        self._counts = self._vocabulary.count(self._texts)
        self._vectors = np.stack([example.vector for example in examples])

    def train(self, facet: Facet, places: Sequence[int], labels: Sequence[str]) -> LinearModels:
        """Classifiers of `facet` trained on the incidents at these places, with these labels."""
        gold, chosen = np.array(labels, dtype=object), np.array(places)
        vectors = self._vectors[chosen]
        cues = cues_of(self._taxonomy, facet)
        # The problems are small: a second thread costs more than it saves, and far more on busy cores.
        with threadpool_limits(1):
            words = None if facet.cardinality == "multi" else self._train_words(chosen, gold)
            if cues:
                texts = [self._texts[place] for place in places]
                return LinearModels(self._vocabulary, words, None, CueModel.train(cues, texts, vectors, gold))
            return LinearModels(self._vocabulary, words, _regression(_EMBEDDING_STRENGTH).fit(vectors, gold), None)

    def _train_words(self, places: NDArray[np.int64], gold: NDArray[np.object_]) -> tuple[Any, Any, Any] | None:
        from sklearn.feature_extraction.text import TfidfTransformer

        if self._counts is None:
            return None
        counts = self._counts[places]
        columns = np.flatnonzero(counts.getnnz(axis=0) >= _MINIMUM_TEXTS)
        if not len(columns):
            return None
        tfidf = TfidfTransformer(sublinear_tf=True)
        features = tfidf.fit_transform(counts[:, columns])
        return columns, tfidf, _regression(_WORDS_STRENGTH).fit(features, gold)


class Learner:
    """Logistic regressions per facet: on TF-IDF of one and two words (`words`), and on the embedding.

    The embedding is joined by the counts of the taxonomy's cues (`cues`) where it has any, else alone (`embedding`).
    Trained again whenever the examples change; the last few are cached. Labels have the same weight however often they
    occur, so that rare ones are found too (`class_weight="balanced"` of scikit-learn). Of a multi-label facet only the
    primary label is learned, and only from cues. Thread-safe.
    """

    def __init__(self) -> None:
        self._fitted: OrderedDict[str, LinearModels] = OrderedDict()
        self._lock = threading.Lock()
        self._last: tuple[Sequence[Example], Taxonomy, dict[str, LinearModels]] | None = None

    def distributions(
        self, taxonomy: Taxonomy, examples: Sequence[Example], text: str, vector: Vectors
    ) -> dict[str, Distributions]:
        """Facet -> source -> label -> probability; a facet without enough examples is left out.

        `text` and `vector` (shape (dimension,)) are of the redacted new incident.
        """
        # The history returns the same tuple until it changes: then nothing has to be compared, sorted or hashed.
        last = self._last
        if last is None or last[0] is not examples or last[1] is not taxonomy or not isinstance(examples, tuple):
            last = self._last = examples, taxonomy, self._fit_all(taxonomy, examples)
        row = np.asarray(vector).reshape(1, -1)
        return {facet: fitted.predict([text], row)[0] for facet, fitted in last[2].items()}

    def _fit_all(self, taxonomy: Taxonomy, examples: Sequence[Example]) -> dict[str, LinearModels]:
        training: list[TrainingSet] = []
        fitted: dict[str, LinearModels] = {}
        for facet in taxonomy.triaged:
            places = labelled(facet, [(example.incident_id, example.labels) for example in examples])
            if places:
                key = _digest(facet, cues_of(taxonomy, facet), [(examples[place], label) for place, label in places])
                # Two incidents at once must not train the same classifiers twice: the second one waits.
                with self._lock:
                    if key not in self._fitted:
                        training = training or [TrainingSet(taxonomy, examples)]
                        self._fitted[key] = training[0].train(facet, *zip(*places, strict=True))
                        while len(self._fitted) > _CACHED:
                            self._fitted.popitem(last=False)
                    self._fitted.move_to_end(key)
                    fitted[facet.id] = self._fitted[key]
        return fitted


def labelled(facet: Facet, incidents: Sequence[tuple[str, Labels]]) -> list[tuple[int, str]]:
    """The indices of the incidents to learn a facet from, each with its primary label, sorted by incident id.

    `incidents` are ids with labels. A label that occurs once is left out. Empty for a facet that is not learned: a
    multi-label facet without cues, or one with fewer than 20 labelled incidents or fewer than two labels.
    """
    primary = [(place, labels[facet.id][0]) for place, (_, labels) in enumerate(incidents) if labels.get(facet.id)]
    counts = Counter(label for _, label in primary)
    kept = [(place, label) for place, label in primary if counts[label] >= _MINIMUM_PER_LABEL and label in facet.ids]
    is_learned = facet.cardinality != "multi" or any(label.cues for label in facet.labels)
    if not is_learned or len(kept) < LEAST_INCIDENTS or len({label for _, label in kept}) < 2:
        return []
    return sorted(kept, key=lambda pair: incidents[pair[0]][0])


def _digest(facet: Facet, cues: Cues, known: Sequence[tuple[Example, str]]) -> str:
    digest = hashlib.sha256(f"{facet.id}\0{cues}".encode())
    for example, label in known:
        digest.update(f"\0{example.incident_id}\0{label}\0{example.text}".encode())
    return digest.hexdigest()


def _regression(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=2_000, class_weight="balanced")


def _probabilities(model: Any, features: Any) -> list[dict[str, float]]:
    return [
        {str(label): float(p) for label, p in zip(model.classes_, row, strict=True)}
        for row in model.predict_proba(features)
    ]
