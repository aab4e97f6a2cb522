"""How unevenly labels are used, which distorts kappa."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from pydantic import BaseModel, Field

from triage.agreement.confusion import Confusion
from triage.agreement.interval import Resampling
from triage.agreement.kappa import Kappa, kappa_of


class Balance(BaseModel, frozen=True):
    """How the labels of two labellings are distributed.

    `common` is the most used label and `share` its share of all labels of both sides. `prevalence` and `bias`, -1 to 1,
    are defined for two labels only: the share on which both give the first label less that on which both give the
    second, and the share on which only the first side gives the first label less that on which only the second does.
    `pabak` is the kappa of the same raw agreement if both used all labels equally often: 2 p_o - 1 for two labels,
    (k p_o - 1) / (k - 1) for k. All are None if there is nothing to compare.

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
    """Agreement on whether one label applies: its kappa against all other labels, and their balance."""

    label: str
    kappa: Kappa
    balance: Balance


def balance_of(confusion: Confusion) -> Balance:
    """The balance of a confusion matrix. Labels that nobody used count in `pabak`: they could have been used."""
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
    **options: Unpack[Resampling],
) -> tuple[LabelKappa, ...]:
    """Kappa of each of `labels` (default: all in the matrix) against all others together."""
    counts, found = confusion.array, []
    for label in labels or confusion.labels:
        here = confusion.labels.index(label)
        both, first, second = int(counts[here, here]), int(counts[here].sum()), int(counts[:, here].sum())
        others = confusion.n - first - second + both
        applies = Confusion(labels=(label, f"not {label}"), counts=((both, first - both), (second - both, others)))
        kappa = kappa_of(applies, **options)
        found.append(LabelKappa(label=label, kappa=kappa, balance=balance_of(applies)))
    return tuple(found)
