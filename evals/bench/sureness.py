"""How sure the decision says it is: are stated probabilities true, and does another score pick the sure cases better?

    python evals/bench/sureness.py runs/cloud_faults-... runs/engine_issues-...

Everything is cross-fitted. The temperatures are chosen on inner folds of the other folds, by log-loss or by the Brier
score. `AURC` is the mean share of errors over all coverages (the area under the risk-coverage curve), less is better;
the interval is that of the paired difference to the largest probability.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triage.agreement import calibration_error_by_chance, expected_calibration_error, reliability
from triage.agreement.interval import Interval
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.runs import Run
from triage.pipeline.calibration import CrossFit, Observation, cross_fit
from triage.pipeline.decision import log_scores

FOLDS = 5
REPEATS = 3
TEMPERATURES = np.exp(np.linspace(-0.9, 0.9, 37))
RESAMPLES = 1_000

Matrix = NDArray[np.float64]
Loss = Callable[[Matrix, NDArray[np.int64]], float]


def log_loss(p: Matrix, gold: NDArray[np.int64]) -> float:
    return float(-np.log(np.maximum(p[np.arange(len(gold)), gold], 1e-12)).mean())


def brier(p: Matrix, gold: NDArray[np.int64]) -> float:
    return float(((p - np.eye(p.shape[1])[gold]) ** 2).sum(axis=1).mean())


def tempered(p: Matrix, temperature: float) -> Matrix:
    """The probabilities raised to 1 / temperature, normalised."""
    logs = np.log(np.maximum(p, 1e-12)) / temperature
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    result: Matrix = shares / shares.sum(axis=1, keepdims=True)
    return result


def with_temperature(facet: Facet, observations: Sequence[Observation], cross: CrossFit, loss: Loss) -> Matrix:
    """The cross-fitted probabilities, each fold's with the temperature that is best on inner folds of the others."""
    chosen = [observations[i] for i in cross.cases]
    folds = folds_of(chosen)
    after = cross.after.copy()
    for fold in np.unique(folds):
        rest = np.flatnonzero(folds != fold)
        inner = np.zeros((len(rest), len(cross.labels)))
        for seed in range(REPEATS):
            drawn = np.random.default_rng(seed).permutation(len(rest)) % FOLDS
            again = cross_fit(facet, [chosen[i]._replace(fold=int(f)) for i, f in zip(rest, drawn, strict=True)])
            inner += cross.after[rest] / REPEATS if again is None else again.after / REPEATS
        best = min(TEMPERATURES, key=lambda t: loss(tempered(inner, t), cross.gold[rest]))
        after[folds == fold] = tempered(cross.after[folds == fold], float(best))
    return after


def folds_of(observations: Sequence[Observation]) -> NDArray[np.int64]:
    """The folds that `cross_fit` uses."""
    if all(o.fold is not None for o in observations):
        return np.array([o.fold for o in observations], dtype=np.int64)
    return np.random.default_rng(0).permutation(len(observations)).astype(np.int64) % FOLDS


def scores(facet: Facet, observations: Sequence[Observation], cross: CrossFit) -> dict[str, Matrix]:
    """Ways to order the cases, surest first is highest."""
    ranked = np.sort(cross.after, axis=1)
    best = cross.after.argmax(axis=1)
    agreeing = []
    for case, label in zip(cross.cases, best, strict=True):
        said = log_scores(facet.ids, observations[case].sources[facet.id])
        agreeing.append(np.mean([int(np.argmax(score)) == label for score in said.values()]))
    agreement = np.array(agreeing)
    return {
        "largest probability": ranked[:, -1],
        "margin to the second": ranked[:, -1] - ranked[:, -2],
        "ratio to the second": np.log(np.maximum(ranked[:, -1], 1e-12) / np.maximum(ranked[:, -2], 1e-12)),
        "entropy": (cross.after * np.log(np.maximum(cross.after, 1e-12))).sum(axis=1),
        "share of sources that favour it": agreement + 1e-3 * ranked[:, -1],
        "probability + 0.3 times that share": ranked[:, -1] + 0.3 * agreement,
    }


def at_half(score: Matrix, right: Matrix) -> float:
    """The share right among the surest half."""
    return float(right[np.argsort(-score, kind="stable")[: (len(right) + 1) // 2]].mean())


def area(score: Matrix, right: Matrix) -> float:
    errors = 1 - right[np.argsort(-score, kind="stable")]
    return float((np.cumsum(errors) / np.arange(1, len(errors) + 1)).mean())


def show(name: str, facet: Facet, observations: Sequence[Observation]) -> None:
    """Print the tables of one facet of one run."""
    cross = cross_fit(facet, observations)
    if cross is None:
        return
    stated = cross.after.max(axis=1)
    right = (cross.after.argmax(axis=1) == cross.gold).astype(float)
    half = np.sort(stated)[::-1][: (len(stated) + 1) // 2].mean()
    chance = calibration_error_by_chance(stated.tolist()) or 0.0
    print(f"\n## {name}: {facet.id}, n = {len(right)}\n")
    print(
        f"Stated {stated.mean():.2f}, right {right.mean():.2f}; of the surest half stated {half:.2f}. "
        f"ECE by chance {chance:.3f}."
    )
    bins = reliability(stated.tolist(), [bool(r) for r in right])
    print("Bins, stated and right: " + ", ".join(f"{b.stated:.2f} {b.right:.2f}" for b in bins))
    print("\n| probabilities | ECE | Brier | log-loss | stated less right |\n| --- | --- | --- | --- | --- |")
    ways: Mapping[str, Matrix] = {
        "as fitted": cross.after,
        "temperature by log-loss": with_temperature(facet, observations, cross, log_loss),
        "temperature by Brier score": with_temperature(facet, observations, cross, brier),
    }
    for way, p in ways.items():
        sure, hit = p.max(axis=1), p.argmax(axis=1) == cross.gold
        ece = expected_calibration_error(sure.tolist(), hit.tolist()) or 0.0
        cells = f"{ece:.3f} | {brier(p, cross.gold):.3f} | {log_loss(p, cross.gold):.3f}"
        print(f"| {way} | {cells} | {sure.mean() - hit.mean():+.3f} |")
    print("\n| order | surest half right | AURC | less than the largest probability's |\n| --- | --- | --- | --- |")
    found = scores(facet, observations, cross)
    draws = np.random.default_rng(0).integers(0, len(right), (RESAMPLES, len(right)))
    base = np.array([area(stated[d], right[d]) for d in draws])
    for way, score in found.items():
        less = base - np.array([area(score[d], right[d]) for d in draws])
        cells = f"{at_half(score, right):.2f} | {area(score, right):.3f}"
        print(f"| {way} | {cells} | {less.mean():+.3f} {Interval.of(less)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="+", help="folder of a finished run")
    for folder in parser.parse_args().run:
        run = Run.read(folder)
        taxonomy = Taxonomy.load(run.suite.taxonomy)
        observations = [Observation(r.sources, r.gold, r.fold) for r in run.records if r.status == "done"]
        for facet in map(taxonomy.facet, run.suite.facets):
            if facet.cardinality != "multi":
                show(run.suite.name, facet, observations)


if __name__ == "__main__":
    main()
