"""What distorts kappa: how unevenly the labels are used, and how differently by the two sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, Field

from triage.agreement.bootstrap import METHOD
from triage.agreement.confusion import Confusion
from triage.agreement.interval import CONFIDENCE, RESAMPLES, Method
from triage.agreement.kappa import Kappa, kappa_of


class Balance(BaseModel, frozen=True):
    """How the labels of two labellings are spread.

    `common` is the label used most and `share` its part of all labels of both sides. For two labels `prevalence` is
    the difference of the shares on which both say the first and both say the second label, and `bias` the difference
    of the shares on which only the first and only the second side says the first label, both -1 to 1; for more labels
    they do not exist. `pabak` is the kappa that the same raw agreement would give with all labels used equally often
    by both: 2 p_o - 1 for two labels, (k p_o - 1) / (k - 1) for k. Where nothing is compared all are None.

    Sources: T. Byrt, J. Bishop & J. B. Carlin, Bias, prevalence and kappa, Journal of Clinical Epidemiology 46 (1993);
    for more than two labels E. M. Bennett, R. Alpert & A. C. Goldstein, Public Opinion Quarterly 18 (1954).
    """

    common: str | None = None
    share: float | None = Field(default=None, ge=0, le=1)
    prevalence: float | None = Field(default=None, ge=-1, le=1)
    bias: float | None = Field(default=None, ge=-1, le=1)
    pabak: float | None = None
    undefined: str | None = None


class LabelKappa(BaseModel, frozen=True):
    """Agreement on whether one label applies: kappa of this label against all others, and what may distort it."""

    label: str
    kappa: Kappa
    balance: Balance


def balance_of(confusion: Confusion) -> Balance:
    """The balance of a confusion matrix; its first label is the one that `prevalence` and `bias` speak of.

    Labels of the matrix that nobody used count in `pabak`: they could have been used.
    """
    n, size = confusion.n, len(confusion.labels)
    if n == 0:
        return Balance(undefined="there is nothing to compare")
    counts = confusion.array
    used = counts.sum(axis=0) + counts.sum(axis=1)
    most = int(np.argmax(used))
    observed = float(np.trace(counts)) / n
    two = size == 2
    return Balance(
        common=confusion.labels[most],
        share=float(used[most]) / (2 * n),
        prevalence=float(counts[0, 0] - counts[1, 1]) / n if two else None,
        bias=float(counts[0, 1] - counts[1, 0]) / n if two else None,
        pabak=(size * observed - 1) / (size - 1) if size > 1 else None,
        undefined=None if two else f"prevalence and bias are defined for two labels, and here there are {size}",
    )


def kappa_by_label(
    confusion: Confusion,
    labels: Sequence[str] = (),
    *,
    method: Method = METHOD,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> tuple[LabelKappa, ...]:
    """Kappa of each of `labels` (by default all in the matrix) against all others together."""
    counts, found = confusion.array, []
    for label in labels or confusion.labels:
        here = confusion.labels.index(label)
        both, first, second = int(counts[here, here]), int(counts[here].sum()), int(counts[:, here].sum())
        others = confusion.n - first - second + both
        one = Confusion(labels=(label, f"not {label}"), counts=((both, first - both), (second - both, others)))
        kappa = kappa_of(one, method=method, resamples=resamples, confidence=confidence, seed=seed)
        found.append(LabelKappa(label=label, kappa=kappa, balance=balance_of(one)))
    return tuple(found)
