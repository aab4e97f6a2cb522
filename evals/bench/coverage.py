"""How often the 95% intervals of the agreement figures hold the true value, in simulated labellings; prints a table.

    python -m evals.bench.coverage
    python -m evals.bench.coverage --simulations 400 --incidents 50 --figures kappa --methods bca

Two annotators (three for alpha, the third with gaps) copy a hidden label or, as often as the true figure asks for,
draw one by its frequency; the true kappa and alpha are then known exactly. Frequencies are `even`, `skewed` (each label
half as frequent as the one before) or `biased` (the second annotator draws from the first's frequencies reversed). For
weighted kappa half of the disagreements are moved to a neighbouring label.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from triage.agreement import Confusion, fleiss_kappa, kappa_of, krippendorff_alpha
from triage.agreement.distance import disagreement
from triage.agreement.interval import Method

Floats = NDArray[np.float64]
Measure = Callable[..., Any]
METHODS: tuple[Method, ...] = ("percentile", "bca")
FIGURES = ("kappa", "kappa, quadratic", "alpha, nominal", "alpha, ordinal", "Fleiss' kappa")
LOWEST, HIGHEST = 0.93, 0.97
GAPS = 0.3


class Setting(NamedTuple):
    """What is simulated: the figure, incidents, labels, their frequencies, and the true value."""

    figure: str
    n: int
    labels: int
    spread: str
    truth: float


class Covered(NamedTuple):
    """Shares of simulations whose interval holds the truth, and mean widths, by method; `undefined` had none."""

    shares: dict[str, float]
    widths: dict[str, float]
    undefined: int


def frequencies(labels: int, spread: str) -> Floats:
    """The labels' shares."""
    shares = np.ones(labels) if spread == "even" else 0.5 ** np.arange(labels)
    return shares / shares.sum()


def table(setting: Setting) -> Floats:
    """The joint distribution of two annotators' labels, so that plain kappa is `setting.truth`."""
    first = frequencies(setting.labels, setting.spread)
    if setting.spread != "biased":
        agreed = setting.truth
        return agreed * np.diag(first) + (1 - agreed) * np.outer(first, first)
    second = first[::-1]
    # Kappa grows with the share of copied labels; the share that gives the wanted one is found by halving.
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        joint = middle * np.diag(first) + (1 - middle) * np.outer(first, second)
        low, high = (middle, high) if kappa(joint, disagreement(setting.labels)) < setting.truth else (low, middle)
    return joint


def near_misses(joint: Floats) -> Floats:
    """`joint` with half of every disagreement moved to the label next to the first annotator's."""
    moved = joint.copy()
    for i in range(len(joint)):
        off = joint[i].copy()
        off[i] = 0
        moved[i] -= off / 2
        next_to = [j for j in (i - 1, i + 1) if 0 <= j < len(joint)]
        moved[i, next_to] += off.sum() / 2 / len(next_to)
    return moved


def kappa(joint: Floats, apart: Floats) -> float:
    """The kappa of a joint distribution."""
    return 1 - float((joint * apart).sum() / (np.outer(joint.sum(axis=1), joint.sum(axis=0)) * apart).sum())


def labellings(setting: Setting, rng: np.random.Generator, resamples: int) -> Iterator[tuple[float, Measure]]:
    """The truth, and what makes the interval of one simulated labelling, again and again."""
    names = [f"{i}" for i in range(setting.labels)]
    if setting.figure.startswith("kappa"):
        joint, weights = table(setting), None
        if setting.figure == "kappa, quadratic":
            joint, weights = near_misses(joint), "quadratic"
        truth = kappa(joint, disagreement(setting.labels, weights))
        while True:
            counts = rng.multinomial(setting.n, joint.ravel()).reshape(joint.shape)
            confusion = Confusion(labels=tuple(names), counts=tuple(map(tuple, counts.tolist())))
            yield truth, partial(kappa_of, confusion, weights=weights, resamples=resamples)
    shares = frequencies(setting.labels, setting.spread)
    while True:
        hidden = rng.choice(setting.labels, setting.n, p=shares)
        # Two annotators copy the same label with probability truth, and agree by chance else.
        copied = rng.random((setting.n, 3)) < np.sqrt(setting.truth)
        said = np.where(copied, hidden[:, None], rng.choice(setting.labels, (setting.n, 3), p=shares))
        rows = [[names[label] for label in row] for row in said.tolist()]
        if setting.figure == "Fleiss' kappa":
            yield setting.truth, partial(fleiss_kappa, rows, resamples=resamples)
            continue
        gaps = rng.random(setting.n) < GAPS
        given = [(a, b, None if gap else c) for (a, b, c), gap in zip(rows, gaps, strict=True)]
        scale = names if setting.figure == "alpha, ordinal" else None
        yield setting.truth, partial(krippendorff_alpha, given, scale=scale, resamples=resamples)


def cover(
    setting: Setting, simulations: int, resamples: int = 2000, methods: Sequence[Method] = METHODS, seed: int = 0
) -> Covered:
    """Simulate `simulations` labellings and count how often each method's interval holds the truth."""
    key = [setting.n, setting.labels, round(100 * setting.truth), len(setting.figure), len(setting.spread), seed]
    made = labellings(setting, np.random.default_rng(key), resamples)
    hits, widths, undefined = dict.fromkeys(methods, 0), dict.fromkeys(methods, 0.0), 0
    for _ in range(simulations):
        truth, measure = next(made)
        found = {method: measure(method=method).interval for method in methods}
        if None in found.values():
            undefined += 1
            continue
        for method, interval in found.items():
            hits[method] += interval.low - 1e-9 <= truth <= interval.high + 1e-9
            widths[method] += interval.high - interval.low
    defined = max(1, simulations - undefined)
    return Covered(
        {method: hits[method] / defined for method in methods},
        {method: widths[method] / defined for method in methods},
        undefined,
    )


def settings(sizes: Sequence[int], figures: Sequence[str]) -> Iterator[Setting]:
    """All that is simulated: plain kappa thoroughly, the other figures on the values and sizes that are hardest."""
    for n in sizes:
        for labels, spread in itertools.product((3, 4, 6), ("even", "skewed", "biased")):
            for truth in (0.0, 0.2, 0.4, 0.6, 0.8, 0.9):
                # Annotators who use the labels so differently can't agree any better.
                if "kappa" in figures and (spread != "biased" or truth <= 0.6):
                    yield Setting("kappa", n, labels, spread, truth)
        for figure, (labels, spread) in itertools.product(FIGURES[1:], ((4, "even"), (4, "skewed"), (6, "skewed"))):
            if figure in figures:
                yield from (Setting(figure, n, labels, spread, truth) for truth in (0.2, 0.6, 0.8, 0.9))


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--incidents", type=int, nargs="+", default=[50, 100, 200, 300])
    parser.add_argument("--figures", nargs="+", default=FIGURES, choices=FIGURES)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    options = parser.parse_args()
    start = time.perf_counter()
    outside: dict[tuple[str, int, str], list[bool]] = {}
    columns = [*options.methods, *(f"width, {method}" for method in options.methods), "undefined"]
    print(
        f"| figure | n | labels | frequencies | true value | {' | '.join(columns)} |\n{'| --- ' * (5 + len(columns))}|"
    )
    for setting in settings(options.incidents, options.figures):
        found = cover(setting, options.simulations, options.resamples, options.methods)
        missed = {method: not LOWEST <= share <= HIGHEST for method, share in found.shares.items()}
        shares = [f"{share:.1%}{' !' if missed[method] else ''}" for method, share in found.shares.items()]
        widths = [f"{width:.2f}" for width in found.widths.values()]
        print(f"| {' | '.join([*map(str, setting), *shares, *widths])} | {found.undefined} |", flush=True)
        for method, flag in missed.items():
            outside.setdefault((setting.figure, setting.n, method), []).append(flag)
    print(f"\n| figure | n | method | settings outside {LOWEST:.0%} to {HIGHEST:.0%} |\n| --- | --- | --- | --- |")
    for (figure, n, method), flags in outside.items():
        print(f"| {figure} | {n} | {method} | {sum(flags)} of {len(flags)} |")
    print(f"\n{options.simulations} simulations each, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
