"""What linear classifiers that were trained on the history say of a new incident: lexical and dense evidence."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from triage.embedding import Vectors
from triage.history import Example
from triage.taxonomy import Facet, Taxonomy

LEAST_INCIDENTS = 20
"""A facet with fewer labelled incidents is not learned."""

_MINIMUM_PER_LABEL = 2
_WORDS_STRENGTH = 1.0
_EMBEDDING_STRENGTH = 10.0
_KEPT = 16

Distributions = dict[str, dict[str, float]]


class _Fitted(NamedTuple):
    words: tuple[Any, Any] | None
    embedding: Any


class Learner:
    """Logistic regressions on TF-IDF of one and two words (`words`) and on the embeddings (`embedding`), per facet.

    Trained anew whenever the examples change; the last few are kept. Labels weigh the same however often they occur,
    so that a rare one is found too (`class_weight="balanced"` of scikit-learn). Facets with several labels of equal
    standing are not learned. May be used from several threads.
    """

    def __init__(self) -> None:
        self._fitted: OrderedDict[str, _Fitted] = OrderedDict()
        self._lock = threading.Lock()
        self._last: tuple[Sequence[Example], Taxonomy, dict[str, _Fitted]] | None = None

    def distributions(
        self, taxonomy: Taxonomy, examples: Sequence[Example], text: str, vector: Vectors
    ) -> dict[str, Distributions]:
        """Facet -> source (`words`, `embedding`) -> label -> probability; a facet without enough examples is left out.

        `text` and `vector` (shape (dimension,)) are of the redacted new incident.
        """
        # The history gives the same tuple until it changes: then nothing is compared, sorted or digested again.
        last = self._last
        if last is None or last[0] is not examples or last[1] is not taxonomy or not isinstance(examples, tuple):
            last = self._last = examples, taxonomy, self._fit_all(taxonomy, examples)
        return {facet_id: _say(fitted, text, vector) for facet_id, fitted in last[2].items()}

    def _fit_all(self, taxonomy: Taxonomy, examples: Sequence[Example]) -> dict[str, _Fitted]:
        fitted: dict[str, _Fitted] = {}
        for facet in taxonomy.triaged:
            labelled = _labelled(facet, examples)
            if facet.cardinality == "multi" or len(labelled) < LEAST_INCIDENTS:
                continue
            if len({label for _, label in labelled}) > 1:
                fitted[facet.id] = self._fit(facet, labelled)
        return fitted

    def _fit(self, facet: Facet, labelled: Sequence[tuple[Example, str]]) -> _Fitted:
        key = _digest(facet, labelled)
        # Two incidents at once must not train the same twice: the second waits for the first.
        with self._lock:
            if key not in self._fitted:
                # Small problems: a second thread of the linear algebra costs more than it brings, and hundreds of
                # times more where others need the cores.
                with threadpool_limits(1):
                    self._fitted[key] = _train(labelled)
                while len(self._fitted) > _KEPT:
                    self._fitted.popitem(last=False)
            self._fitted.move_to_end(key)
            return self._fitted[key]


def _labelled(facet: Facet, examples: Sequence[Example]) -> list[tuple[Example, str]]:
    """The examples with their primary label, without labels that stand there only once; ordered by id."""
    given = [(e, e.labels[facet.id][0]) for e in examples if e.labels.get(facet.id)]
    counts: dict[str, int] = {}
    for _, label in given:
        counts[label] = counts.get(label, 0) + 1
    kept = [(e, label) for e, label in given if counts[label] >= _MINIMUM_PER_LABEL and label in facet.ids]
    return sorted(kept, key=lambda pair: pair[0].incident_id)


def _digest(facet: Facet, labelled: Sequence[tuple[Example, str]]) -> str:
    digest = hashlib.sha256(facet.id.encode())
    for example, label in labelled:
        digest.update(f"\0{example.incident_id}\0{label}\0{example.text}".encode())
    return digest.hexdigest()


def _train(labelled: Sequence[tuple[Example, str]]) -> _Fitted:
    from sklearn.feature_extraction.text import TfidfVectorizer

    gold = np.array([label for _, label in labelled], dtype=object)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    try:
        counts = vectorizer.fit_transform([example.text for example, _ in labelled])
    except ValueError:  # no word stands in two texts
        words = None
    else:
        words = (vectorizer, _regression(_WORDS_STRENGTH).fit(counts, gold))
    vectors = np.stack([example.vector for example, _ in labelled])
    return _Fitted(words=words, embedding=_regression(_EMBEDDING_STRENGTH).fit(vectors, gold))


def _regression(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=2_000, class_weight="balanced")


def _say(fitted: _Fitted, text: str, vector: Vectors) -> Distributions:
    said = {"embedding": _probabilities(fitted.embedding, np.asarray(vector).reshape(1, -1))}
    if fitted.words is not None:
        vectorizer, model = fitted.words
        said["words"] = _probabilities(model, vectorizer.transform([text]))
    return said


def _probabilities(model: Any, features: Any) -> dict[str, float]:
    return {str(label): float(p) for label, p in zip(model.classes_, model.predict_proba(features)[0], strict=True)}
