"""How well the ranked suggestions meet the mitigations that were really used: hit@1, hit@3, nDCG@5, and a grid.

    python -m evals.bench.mitigations --data FILE FILE --run runs/llm_incidents-... runs/cloud_faults-...

Each incident is suggested mitigations from all others but its near-duplicates. The kind of incident, which the
suggestions are drawn to, is what `--run` decided, cross-fitted, or else what the history teaches: its own labels are
only looked at for the score. The shipped incidents are always measured; `--data` adds files of JSON lines with `title`,
`text` and `labels`, whose mitigations stand in `mitigation_all` or `mitigation_class_rule_derived` and the kind in
`root_cause`.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evals.bench.mitigation_cases import Situation, actions, read, situations
from triage.agreement.interval import RESAMPLES, Interval
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult
from triage.evaluation import Run, shipped_history
from triage.pipeline.decision import VOTE_TEMPERATURE
from triage.pipeline.mitigation import Shrinkage, suggest, support_shares

MEASURES = ("hit@1", "hit@3", "nDCG@5")
TO_KIND = (0.0, 2.0, 4.0, 8.0, 12.0, 20.0, 32.0, 64.0)
TO_WHOLE = (1.0, 2.0, 4.0, 8.0, 16.0)
AS_IT_WAS = Shrinkage(4.0, 4.0)
FOLDS = 10

Figures = NDArray[np.float64]


def figures(ranked: Sequence[str], used: set[str]) -> tuple[float, float, float]:
    """hit@1, hit@3 and nDCG@5 of one ranking."""
    gains = [1 / math.log2(place + 2) for place in range(5)]
    found = sum(gain for gain, mitigation in zip(gains, ranked, strict=False) if mitigation in used)
    return (
        float(bool(used & set(ranked[:1]))),
        float(bool(used & set(ranked[:3]))),
        found / sum(gains[: min(5, len(used))]),
    )


def most_frequent(situation: Situation) -> list[str]:
    """The mitigations of all other incidents, the most frequent first."""
    counts = Counter(m for example in situation.examples for m in actions(situation.taxonomy, example.labels))
    return sorted(counts, key=lambda m: (-counts[m], m))


def weighted_share(situation: Situation) -> list[str]:
    """The neighbours' share weighted by similarity."""
    scores: dict[str, float] = {}
    support: Counter[str] = Counter()
    for neighbour in situation.neighbours:
        for mitigation in actions(situation.taxonomy, neighbour.labels):
            weight = math.exp((neighbour.similarity - 1) / VOTE_TEMPERATURE)
            scores[mitigation] = scores.get(mitigation, 0.0) + weight
            support[mitigation] += 1
    return sorted(scores, key=lambda m: (-scores[m], -support[m], m))


def shrunken(situation: Situation, shrinkage: Shrinkage, decided: dict[str, FacetResult] | None = None) -> list[str]:
    """The supported suggestions in their order, without what they hold."""
    kinds = situation.decided if decided is None else decided
    shares = support_shares(situation.taxonomy, situation.neighbours, kinds, situation.examples, shrinkage)
    support = Counter(m for n in situation.neighbours for m in actions(situation.taxonomy, n.labels))
    return sorted(shares, key=lambda m: (-shares[m], -support[m], m))


def given_label(situation: Situation) -> dict[str, FacetResult]:
    """The label alone of the first kind, neither its probability nor a finer kind."""
    kind = situation.taxonomy.triaged[0].id
    return {f: FacetResult(facet=f, labels=r.labels) for f, r in situation.decided.items() if f == kind}


def general_advice(situation: Situation) -> list[str]:
    """What `suggest` adds behind the supported ones; the amounts don't change it."""
    found = suggest(situation.taxonomy, situation.neighbours, situation.decided, situation.examples)
    return [suggestion.mitigation for suggestion in found if suggestion.is_general_advice]


def with_interval(values: NDArray[np.float64]) -> str:
    """The mean with its bootstrap interval over incidents."""
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    return f"{values.mean():.2f} {Interval.of(values[draws].mean(axis=1))}"


class Measured(NamedTuple):
    """The figures of one set, shape (cases, measures), and of the grid, (to_kind, to_whole, cases, measures)."""

    ways: dict[str, Figures]
    grid: Figures


def measure(cases: Sequence[Situation]) -> Measured:
    advice = [general_advice(case) for case in cases]

    def scored(rankings: Sequence[list[str]], added: bool = True) -> Figures:
        pairs = zip(cases, rankings, advice, strict=True)
        return np.array([figures(ranked + (more if added else []), case.used) for case, ranked, more in pairs])

    ways = {
        "most frequent overall": scored([most_frequent(case) for case in cases], added=False),
        "similarity-weighted share": scored([weighted_share(case) for case in cases], added=False),
        "drawn to the decided kind (4, 4), as it was": scored(
            [shrunken(case, AS_IT_WAS, given_label(case)) for case in cases]
        ),
        "drawn to the likely kinds (4, 4)": scored([shrunken(case, AS_IT_WAS) for case in cases]),
        "**drawn to the likely kinds, as shipped**": scored([shrunken(case, Shrinkage()) for case in cases]),
    }
    grid = [[scored([shrunken(case, Shrinkage(a, b)) for case in cases]) for b in TO_WHOLE] for a in TO_KIND]
    return Measured(ways, np.array(grid))


def chosen(grids: Sequence[Figures]) -> tuple[int, int]:
    """The place with the highest nDCG@5 in the mean of the sets; the smaller amounts among equals."""
    mean = np.mean([of_set[:, :, :, MEASURES.index("nDCG@5")].mean(axis=2) for of_set in grids], axis=0)
    a, b = np.unravel_index(int(mean.argmax()), mean.shape)
    return int(a), int(b)


def by_other_folds(grid: Figures) -> Figures:
    """Each incident with the amounts that are best on the folds that it is not in."""
    folds = np.random.default_rng(0).permutation(grid.shape[2]) % FOLDS
    found = np.zeros(grid.shape[2:])
    for fold in range(FOLDS):
        a, b = chosen([grid[:, :, folds != fold]])
        found[folds == fold] = grid[a, b, folds == fold]
    return found


def print_table(title: str, measured: Measured, others: Sequence[Measured]) -> None:
    """The figures of each way to rank, with the paired difference to the ranking as it was."""
    ways = dict(measured.ways)
    ways["amounts chosen on the other folds"] = by_other_folds(measured.grid)
    if others:
        a, b = chosen([other.grid for other in others])
        ways[f"amounts chosen on the other sets ({TO_KIND[a]:g}, {TO_WHOLE[b]:g})"] = measured.grid[a, b]
    before = ways["drawn to the decided kind (4, 4), as it was"]
    print(f"\n{title}, n = {len(before)}\n")
    heads = (*MEASURES, "hit@1 more than it was", "nDCG@5 more than it was")
    print("| | " + " | ".join(heads) + " |\n| --- |" + " --- |" * len(heads))
    for name, values in ways.items():
        more = (values - before)[:, [0, 2]]
        print(f"| {name} | " + " | ".join(with_interval(column) for column in (*values.T, *more.T)) + " |")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--run", type=Path, nargs="*", default=[], help="folders of runs that decided the kinds")
    options = parser.parse_args()
    runs = [Run.read(folder) for folder in options.run]
    shipped = [(incident.id, incident.text, labels) for incident, labels in shipped_history()]
    sets = {"llm_incidents": (Taxonomy.load("llm_inference"), shipped)} | {p.stem: read(p) for p in options.data}
    measured = {name: measure(await situations(taxonomy, records, runs)) for name, (taxonomy, records) in sets.items()}
    for name, found in measured.items():
        print_table(name, found, [other for of, other in measured.items() if of != name])
    shipped_way, was = "**drawn to the likely kinds, as shipped**", "drawn to the decided kind (4, 4), as it was"
    more = np.concatenate([found.ways[shipped_way] - found.ways[was] for found in measured.values()])
    print(
        f"\nAll {len(more)} incidents, as shipped more than it was: "
        + ", ".join(f"{measure} {with_interval(column)}" for measure, column in zip(MEASURES, more.T, strict=True))
    )
    average = np.mean([found.grid.mean(axis=2) for found in measured.values()], axis=0)
    for m, name in enumerate(MEASURES):
        print(f"\n{name}, mean of the sets; rows: to_kind, columns: to_whole\n")
        print("| | " + " | ".join(f"{b:g}" for b in TO_WHOLE) + " |\n| --- |" + " --- |" * len(TO_WHOLE))
        for a, row in zip(TO_KIND, average[:, :, m], strict=True):
            print(f"| {a:g} | " + " | ".join(f"{value:.3f}" for value in row) + " |")


if __name__ == "__main__":
    asyncio.run(main())
