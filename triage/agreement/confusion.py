"""The confusion matrix of two labellings, with accuracy, precision, recall and F1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field


class LabelScore(BaseModel, frozen=True):
    """How well one label was found.

    `support` counts the incidents with this gold label, `predicted` those with this prediction. A figure without a
    denominator is None and `undefined` says why.
    """

    label: str
    precision: float | None = Field(ge=0, le=1)
    recall: float | None = Field(ge=0, le=1)
    f1: float | None = Field(ge=0, le=1)
    support: int = Field(ge=0)
    predicted: int = Field(ge=0)
    undefined: str | None = None


class Confusion(BaseModel, frozen=True):
    """Counts of label pairs: `counts[i][j]` incidents have gold label `labels[i]` and predicted label `labels[j]`."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, gold: Sequence[str], predicted: Sequence[str], labels: Iterable[str] = ()) -> Self:
        """Count the pairs. `labels` come first, in this order, whether or not they occur; others follow by name.

        >>> Confusion.of(["a", "a", "b"], ["a", "b", "b"]).counts
        ((1, 1), (0, 1))
        """
        if len(gold) != len(predicted):
            raise ValueError(f"the two labellings differ in length: {len(gold)} and {len(predicted)}")
        first = list(dict.fromkeys(labels))
        names = (*first, *sorted({*gold, *predicted} - set(first)))
        position = {name: index for index, name in enumerate(names)}
        counts = np.zeros((len(names), len(names)), dtype=np.int64)
        np.add.at(counts, ([position[g] for g in gold], [position[p] for p in predicted]), 1)
        return cls(labels=names, counts=tuple(tuple(row) for row in counts.tolist()))

    @property
    def array(self) -> NDArray[np.int64]:
        """The counts, shape (labels, labels), gold in rows."""
        return np.array(self.counts, dtype=np.int64).reshape(len(self.labels), len(self.labels))

    @property
    def n(self) -> int:
        """The number of incidents compared."""
        return sum(map(sum, self.counts))

    @property
    def accuracy(self) -> float | None:
        """The share of incidents on which the two agree; None without incidents."""
        return sum(row[i] for i, row in enumerate(self.counts)) / self.n if self.n else None

    def used(self) -> Self:
        """The same counts without the labels that neither side used."""
        counts = self.array
        keep = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
        used = counts[np.ix_(keep, keep)]
        return self.model_copy(
            update={
                "labels": tuple(self.labels[i] for i in keep),
                "counts": tuple(tuple(row) for row in used.tolist()),
            }
        )

    def scores(self) -> tuple[LabelScore, ...]:
        """Precision, recall, F1 and support of every label, in the order of `labels`.

        Source: van Rijsbergen, Information Retrieval (1979), chapter 7; F1 = 2 TP / (2 TP + FP + FN).
        """
        counts = self.array
        predicted, support = counts.sum(axis=0).tolist(), counts.sum(axis=1).tolist()
        return tuple(
            _score(label, int(counts[i, i]), int(predicted[i]), int(support[i])) for i, label in enumerate(self.labels)
        )


def _score(label: str, hits: int, predicted: int, support: int) -> LabelScore:
    missing = [word for word, n in (("predicted", predicted), ("the gold label", support)) if not n]
    return LabelScore(
        label=label,
        precision=hits / predicted if predicted else None,
        recall=hits / support if support else None,
        f1=2 * hits / (predicted + support) if predicted + support else None,
        support=support,
        predicted=predicted,
        undefined=f"never {' and never '.join(missing)}" if missing else None,
    )
