"""Tables, a fitted curve and a plot from what `learning_curve.py` measured.

    python -m evals.bench.curves curves/*.json --plot docs/learning-curve.png

Kappa is fitted as a - b * n^-c, n being the incidents in the history (a learning curve's usual form: Viering and Loog,
'The shape of learning curves: a review', TPAMI 2023). Intervals are from resampling the cases, the same ones at every
point, so that differences along a curve are paired.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from triage.agreement.interval import Interval

RESAMPLES = 1_000
FROM = 0.25
EXPONENTS = np.linspace(0.1, 2.0, 39)
NAMES = {
    ("cloud_faults", "root_cause"): "cloud_faults",
    ("cloud_faults", "root_cause_layer"): "cloud_faults, first layer",
    ("cloud_reports", "root_cause"): "cloud_reports",
    ("engine_issues", "issue_type"): "engine_issues",
    ("llm_incidents", "category"): "llm_incidents category (derived)",
    ("llm_incidents", "failure_mode"): "llm_incidents failure_mode (derived)",
}


class Curve(NamedTuple):
    """Kappa by amount of history; arrays have one row for each share, `resampled` shape (shares, resamples)."""

    name: str
    cases: int
    shares: list[float]
    history: NDArray[np.float64]
    kappa: NDArray[np.float64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    resampled: NDArray[np.float64]

    @classmethod
    def of(cls, name: str, points: Sequence[dict[str, Any]]) -> Curve:
        """The mean over the seeds at each share; `least` and `most` are the extremes among the seeds."""
        labels = sorted({label for point in points for label in (*point["gold"], *point["decided"])})
        cases = len(points[0]["gold"])
        draws = np.random.default_rng(0).integers(0, cases, (RESAMPLES, cases))
        shares = sorted({point["share"] for point in points})
        rows: list[list[Any]] = []
        for share in shares:
            there = [point for point in points if point["share"] == share]
            coded = [[np.array([labels.index(x) for x in p[k]]) for k in ("gold", "decided")] for p in there]
            values = [kappa(gold[None], decided[None], len(labels))[0] for gold, decided in coded]
            again = np.mean([kappa(gold[draws], decided[draws], len(labels)) for gold, decided in coded], axis=0)
            rows.append([np.mean([p["history"] for p in there]), np.mean(values), min(values), max(values), again])
        history, mean, least, most, resampled = (np.array(column) for column in zip(*rows, strict=True))
        return cls(name, cases, shares, history, mean, least, most, resampled)

    def gain(self, share: float) -> str:
        """How much more kappa all of the history gives than this share of it, with its paired interval."""
        at = self.shares.index(share)
        return f"{self.kappa[-1] - self.kappa[at]:+.2f} {Interval.of(self.resampled[-1] - self.resampled[at])}"

    def at(self, place: int) -> str:
        """Kappa at one share with its interval."""
        return f"{self.kappa[place]:.2f} {Interval.of(self.resampled[place])}"


def per_doubling(curve: Curve, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The slope of kappa over log2 of the history from a quarter of it on; `values` has shape (shares, ...)."""
    upper = np.array(curve.shares) >= FROM
    x = np.log2(curve.history[upper])
    x = x - x.mean()
    slope: NDArray[np.float64] = np.tensordot(x, values[upper], axes=1) / (x @ x)
    return slope


class Fit(NamedTuple):
    """kappa = a - b * n^-c."""

    a: float
    b: float
    c: float

    @classmethod
    def of(cls, history: NDArray[np.float64], values: NDArray[np.float64]) -> Fit:
        """Least squares over the points with a history; b is not below 0, and a not above 1."""
        found = []
        for c in EXPONENTS:
            x = history**-c
            b = max(0.0, -float(np.cov(x, values, bias=True)[0, 1] / x.var()))
            a = min(1.0, float((values + b * x).mean()))
            b = max(0.0, float(((a - values) @ x) / (x @ x))) if a == 1.0 else b
            found.append((float(((values - a + b * x) ** 2).sum()), cls(a, b, float(c))))
        return min(found)[1]


def kappa(gold: NDArray[np.int64], decided: NDArray[np.int64], labels: int) -> NDArray[np.float64]:
    """Cohen's kappa of each row."""
    rows = np.arange(len(gold))[:, None] * labels
    shares = [
        np.bincount((side + rows).ravel(), minlength=len(gold) * labels).reshape(len(gold), labels) / gold.shape[1]
        for side in (gold, decided)
    ]
    expected = (shares[0] * shares[1]).sum(axis=1)
    result: NDArray[np.float64] = ((gold == decided).mean(axis=1) - expected) / np.maximum(1 - expected, 1e-12)
    return result


def tables(with_model: Sequence[Curve], without: Sequence[Curve]) -> None:
    """Print kappa by share of the history, and what the slope says."""
    shares = with_model[0].shares
    print("| | model | n | " + " | ".join(f"{share:.0%}" for share in shares) + " |")
    print("| --- |" + " --- |" * (2 + len(shares)))
    for curves, word in ((with_model, "with"), (without, "without")):
        for curve in curves:
            cells = [f"{value:.2f} ({n:.0f})" for value, n in zip(curve.kappa, curve.history, strict=True)]
            print(f"| {curve.name} | {word} | {curve.cases} | " + " | ".join(cells) + " |")
    print("\n| | model | all of it | more than none | more than half | per doubling | c | a |")
    print("| --- |" + " --- |" * 7)
    for curves, word in ((with_model, "with"), (without, "without")):
        for curve in curves:
            known = curve.history > 0
            fits = [Fit.of(curve.history[known], values) for values in curve.resampled[known].T[:300]]
            fit = Fit.of(curve.history[known], curve.kappa[known])
            slope = float(per_doubling(curve, curve.kappa))
            cells = [
                curve.at(-1),
                curve.gain(0.0),
                curve.gain(0.5),
                f"{slope:+.3f} {Interval.of(per_doubling(curve, curve.resampled))}",
                f"{fit.c:.2f} {Interval.of(np.array([f.c for f in fits]))}",
                f"{fit.a:.2f} {Interval.of(np.array([f.a for f in fits]))}",
            ]
            print(f"| {curve.name} | {word} | " + " | ".join(cells) + " |")


def plot(with_model: Sequence[Curve], without: Sequence[Curve], path: Path) -> None:
    """A panel for each set, with the model and without; bands over cases, dotted what another doubling might add."""
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    panels = figure.subplots(2, 3, sharey=True).ravel()
    for axes, model, alone in zip(panels, with_model, without, strict=True):
        for curve, colour, name in ((model, "C0", "with the model"), (alone, "C1", "without")):
            low, high = np.quantile(curve.resampled, [0.025, 0.975], axis=1)
            axes.fill_between(curve.history, low, high, color=colour, alpha=0.13, linewidth=0)
            axes.plot(curve.history, curve.kappa, "o-", color=colour, markersize=4, label=name)
            axes.plot(
                [curve.history[-1], 2 * curve.history[-1]],
                [curve.kappa[-1], curve.kappa[-1] + float(per_doubling(curve, curve.kappa))],
                ":",
                color=colour,
                linewidth=1.5,
            )
        axes.set(title=f"{model.name}, n = {model.cases}", ylim=(0, 0.85))
        axes.title.set_fontsize(10)
        axes.grid(alpha=0.25)
    for axes in panels[3:]:
        axes.set_xlabel("labelled incidents in the history")
    for axes in panels[::3]:
        axes.set_ylabel("kappa of the decision")
    panels[0].legend(loc="lower right", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", type=Path, nargs="+", help="files that learning_curve.py wrote")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    measured = {
        (path.stem, facet): points
        for path in options.curves
        for facet, points in json.loads(path.read_text(encoding="utf-8")).items()
    }
    with_model, without = (
        [
            Curve.of(name, [point for point in measured[key] if point["model"] == model])
            for key, name in NAMES.items()
            if key in measured
        ]
        for model in (True, False)
    )
    tables(with_model, without)
    if options.plot is not None:
        plot(with_model, without, options.plot)


if __name__ == "__main__":
    main()
