"""Stratified folds: every label is spread evenly over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def stratified_folds(labels: Sequence[str], k: int, seed: int = 0) -> list[int]:
    """The fold, 0 to k-1, of each case.

    The same folds as scikit-learn's `StratifiedKFold(k, shuffle=True, random_state=seed)` gives, so that runs and the
    baselines of `evals/bench` stand on equal ground.
    """
    if k > len(labels):
        raise ValueError(f"{len(labels)} case(s) can't be cut into {k} folds")
    rng = np.random.RandomState(seed)
    order = {label: index for index, label in enumerate(dict.fromkeys(labels))}
    codes = np.array([order[label] for label in labels])
    in_order = np.sort(codes)
    folds = np.empty(len(codes), dtype=np.int64)
    sizes = np.array([np.bincount(in_order[fold::k], minlength=len(order)) for fold in range(k)])
    for code in range(len(order)):
        mine = np.arange(k).repeat(sizes[:, code])
        rng.shuffle(mine)
        folds[codes == code] = mine
    return [int(fold) for fold in folds]
