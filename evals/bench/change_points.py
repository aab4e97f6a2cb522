"""How often change points are told that are not there, and found where they are: `python -m evals.bench.change_points`.

Series of 36 months (48 with three changes) are simulated: counts from Poisson distributions, and from negative binomial
ones whose variance is twice the mean, as where one trouble is reported several times; and shares among incidents whose
number stays or grows tenfold. Of each kind `--runs` are looked at with the level 5%. `too many` is the share with more
changes than there are, `right` that with as many, `near` the share of the changes found by these within a month of
where they are, and `covered` that whose interval holds it.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from triage.agreement.proportion import Proportion
from triage.insights.study.change_points import Place, Series, find_changes

LEVEL = 0.05


class Kind(NamedTuple):
    """Series of one kind: the mean of each month, or the share and how many incidents it is taken of."""

    name: str
    means: list[float]
    spread: float = 1.0
    of: list[int] | None = None

    @property
    def changes(self) -> list[int]:
        """The months at which the mean changes."""
        return [n for n, (one, other) in enumerate(itertools.pairwise(self.means), start=1) if one != other]

    def draw(self, lots: np.random.Generator) -> Series:
        """One series."""
        means = np.array(self.means)
        if self.of is not None:
            of = lots.poisson(self.of)
            return Series(lots.binomial(of, means), of, "share")
        rates = means if self.spread == 1 else lots.gamma(means / (self.spread - 1), self.spread - 1)
        return Series(lots.poisson(rates), np.full(len(means), 30), "rate")


STEPS: dict[str, list[float]] = {
    "4 a month": [4] * 36,
    "3, then 9": [3] * 18 + [9] * 18,
    "3, 9, 3": [3] * 12 + [9] * 12 + [3] * 12,
    "3, half a year of 9, 3": [3] * 15 + [9] * 6 + [3] * 15,
    "3, 9, 3, 9": [3] * 12 + [9] * 12 + [3] * 12 + [9] * 12,
}


def kinds() -> Iterator[Kind]:
    """All that are looked at."""
    for name, means in STEPS.items():
        yield Kind(f"{name}, Poisson", means)
        yield Kind(f"{name}, twice the variance", means, spread=2.0)
    yield Kind("share 30% of 8", [0.3] * 36, of=[8] * 36)
    yield Kind("share 30% of 2, then of 20", [0.3] * 36, of=[2] * 18 + [20] * 18)
    yield Kind("share 20%, then 60%, of 8", [0.2] * 18 + [0.6] * 18, of=[8] * 36)
    yield Kind("share 20%, 60%, 20% of 8", [0.2] * 12 + [0.6] * 12 + [0.2] * 12, of=[8] * 36)


def measure(kind: Kind, runs: int) -> str:
    """A line of the table."""
    lots = np.random.default_rng(11)
    too_many = right = 0
    near: list[bool] = []
    covered: list[bool] = []
    for seed in range(runs):
        found = find_changes(kind.draw(lots), level=LEVEL, seed=seed)
        places: tuple[Place, ...] = found.places if found else ()
        too_many += len(places) > len(kind.changes)
        if len(places) == len(kind.changes):
            right += 1
            both = list(zip(places, kind.changes, strict=True))
            near += [abs(place.at - truth) <= 1 for place, truth in both]
            covered += [place.earliest <= truth <= place.latest for place, truth in both]
    told = [f"{Proportion(hits=too_many, n=runs)}", f"{right / runs:.0%}"]
    told += [f"{np.mean(near):.0%}", f"{np.mean(covered):.0%}"] if near else ["", ""]
    return f"| {kind.name} | {len(kind.changes)} | " + " | ".join(told) + " |"


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    print("| series | changes | too many [95%] | right | near | covered |\n|---|---|---|---|---|---|")
    for kind in kinds():
        print(measure(kind, runs), flush=True)


if __name__ == "__main__":
    main()
