"""Where the decision and the gold labels differ, and how much of that looks like noise in the labels.

    python evals/bench/errors.py evals/suites/cloud_faults.yaml --data FILE --run runs/cloud_faults-... [--list 15]

Everything is from cross-fitted probabilities: each case is decided by a rule that was fitted without it. `--list`
names the most suspicious cases, for a second look.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from triage.agreement import Kappa, cohen_kappa
from triage.agreement.proportion import Proportion
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation import Case, CaseRecord, Run, Suite
from triage.history.duplicates import is_near_duplicate
from triage.pipeline.calibration import CrossFit, Observation, cross_fit
from triage.pipeline.classification.sentences import cause_words
from triage.pipeline.decision import log_scores

SIGNALS = ("model", "definitions", "words")
LENGTHS = 3
VOTES = (0.05, 0.3)


class Doubt(NamedTuple):
    """A case whose gold label looks doubtful: how likely gold and the decided label are, and which signals agree."""

    case_id: str
    gold: str
    decided: str
    of_gold: float
    of_decided: float
    is_confident: bool
    against: tuple[str, ...]


class Errors(NamedTuple):
    """One facet of a run, decided by cross-fitting; arrays have one row for each case with a gold label."""

    facet: Facet
    records: list[CaseRecord]
    texts: list[str]
    cross: CrossFit

    @property
    def decided(self) -> NDArray[np.int64]:
        """The index of each case's likeliest label."""
        best: NDArray[np.int64] = self.cross.after.argmax(axis=1)
        return best

    @property
    def is_wrong(self) -> NDArray[np.bool_]:
        wrong: NDArray[np.bool_] = self.decided != self.cross.gold
        return wrong

    @classmethod
    def of(cls, facet: Facet, records: Sequence[CaseRecord], cases: Sequence[Case]) -> Errors | None:
        """None where there are too few cases to cross-fit."""
        cross = cross_fit(facet, [Observation(r.sources, r.gold, r.fold) for r in records])
        if cross is None:
            return None
        texts = {case.id: case.incident.text for case in cases}
        kept = [records[i] for i in cross.cases]
        return cls(facet, kept, [texts[r.case_id] for r in kept], cross)


def confusions(errors: Errors) -> Counter[tuple[str, str]]:
    """(gold, decided) -> how many errors."""
    labels, cross = errors.cross.labels, errors.cross
    return Counter((labels[g], labels[d]) for g, d in zip(cross.gold, errors.decided, strict=True) if g != d)


def confident(cross: CrossFit) -> NDArray[np.int64]:
    """The label that each case confidently has, or -1: confident learning, Northcutt et al., JAIR 2021.

    A label is confident where its probability reaches the mean that it has over the cases with it as gold label.
    """
    labels = cross.after.shape[1]
    means = [cross.after[cross.gold == label, label] for label in range(labels)]
    thresholds = np.array([mean.mean() if len(mean) else np.inf for mean in means])
    reached = np.where(cross.after >= thresholds, cross.after, -1.0)
    found: NDArray[np.int64] = np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), -1)
    return found


def noise(cross: CrossFit) -> float:
    """The share of wrong gold labels that confident learning estimates: off-diagonal mass of the calibrated joint."""
    joint = np.zeros((len(cross.labels),) * 2)
    for gold, true in zip(cross.gold, confident(cross), strict=True):
        if true >= 0:
            joint[gold, true] += 1
    counts = np.bincount(cross.gold, minlength=len(cross.labels))
    rows = joint.sum(axis=1)
    # A gold label of which no case is confident says nothing of its noise.
    kept = rows > 0
    scaled = joint[kept] / rows[kept, None] * counts[kept, None]
    right = joint.diagonal()[kept] / rows[kept] * counts[kept]
    return float(1 - right.sum() / scaled.sum())


def doubts(errors: Errors) -> list[Doubt]:
    """The cases that are decided against gold, the most doubtful gold label first."""
    cross, found = errors.cross, []
    sure = confident(cross)
    for i in np.flatnonzero(errors.is_wrong):
        gold, decided = int(cross.gold[i]), int(errors.decided[i])
        votes = favoured(errors.facet, errors.records[i])
        found.append(
            Doubt(
                errors.records[i].case_id,
                cross.labels[gold],
                cross.labels[decided],
                float(cross.after[i, gold]),
                float(cross.after[i, decided]),
                int(sure[i]) == decided,
                tuple(source for source, label in votes.items() if label == cross.labels[decided]),
            )
        )
    return sorted(found, key=lambda d: (-d.is_confident, -len(d.against), d.of_gold - d.of_decided))


def favoured(facet: Facet, record: CaseRecord) -> dict[str, str]:
    """The label that each signal favours by itself, the model's without what it favours anyway."""
    scores = log_scores(facet.ids, record.sources[facet.id])
    return {source: facet.ids[int(np.argmax(scores[source]))] for source in SIGNALS if source in scores}


def runner_up(errors: Errors) -> int:
    """How many errors have the gold label in second place."""
    order = np.argsort(-errors.cross.after, axis=1)
    return int((errors.is_wrong & (order[:, 1] == errors.cross.gold)).sum())


def near_duplicates(errors: Errors) -> tuple[int, int]:
    """How many pairs of cases tell of the same in nearly the same words, and how many of them differ in gold."""
    gold = errors.cross.gold
    pairs = [
        (i, j) for i, j in combinations(range(len(gold)), 2) if is_near_duplicate(errors.texts[i], errors.texts[j])
    ]
    return len(pairs), sum(gold[i] != gold[j] for i, j in pairs)


def by_group(errors: Errors) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Groups of cases, by the length of the write-up by words of cause, by how many neighbours share the gold label."""
    words = np.array([len(text.split()) for text in errors.texts])
    bounds = np.quantile(words, np.linspace(0, 1, LENGTHS + 1)[1:-1])
    third = np.searchsorted(bounds, words)
    for n in range(LENGTHS):
        inside = words[third == n]
        yield f"{inside.min()} to {inside.max()} words", third == n
    yield "no word of cause", np.array([cause_words(text) == 0 for text in errors.texts])
    votes = np.array(
        [
            r.sources[errors.facet.id].get("neighbours", {}).get(errors.cross.labels[g], 0.0)
            for r, g in zip(errors.records, errors.cross.gold, strict=True)
        ]
    )
    low, high = VOTES
    yield f"neighbours' vote for gold below {low:.0%}", votes < low
    yield f"{low:.0%} to {high:.0%}", (votes >= low) & (votes < high)
    yield f"{high:.0%} or more", votes >= high


def without_short(errors: Errors, prefix: str, words: int) -> Iterator[tuple[str, Kappa]]:
    """Kappa of the cases whose id begins with `prefix` and whose text has fewer words, and of all others."""
    labels = [[errors.cross.labels[i] for i in side] for side in (errors.cross.gold, errors.decided)]
    short = [
        record.case_id.startswith(prefix) and len(text.split()) < words
        for record, text in zip(errors.records, errors.texts, strict=True)
    ]
    for wanted, name in ((True, f"{prefix}, below {words} words"), (False, "all others")):
        gold, decided = ([x for x, is_short in zip(side, short, strict=True) if is_short == wanted] for side in labels)
        yield name, cohen_kappa(gold, decided)


def agreed(errors: Errors) -> tuple[int, int]:
    """How many cases all signals favour the same label for, and for how many of them it is not gold's."""
    same = [set(favoured(errors.facet, r).values()) for r in errors.records]
    gold = [errors.cross.labels[g] for g in errors.cross.gold]
    united = [(labels, g) for labels, g in zip(same, gold, strict=True) if len(labels) == 1]
    return len(united), sum(g not in labels for labels, g in united)


def show(name: str, errors: Errors) -> None:
    """Print the findings of one facet."""
    n, wrong = len(errors.records), int(errors.is_wrong.sum())
    found = doubts(errors)
    print(f"\n## {name}: {errors.facet.id}, n = {n}, decided against gold {wrong} ({wrong / n:.0%})\n")
    print("| gold | decided | n |\n| --- | --- | --- |")
    for (gold, decided), count in confusions(errors).most_common(8):
        print(f"| {gold} | {decided} | {count} |")
    print("\n| | |\n| --- | --- |")
    print(f"| gold is the runner-up | {share(runner_up(errors), wrong)} |")
    suspected = [d for d in found if d.is_confident]
    print(f"| confidently another label (confident learning) | {share(len(suspected), n)} |")
    print(f"| noise that confident learning estimates | {noise(errors.cross):.0%} |")
    signals = {s for r in errors.records for s in favoured(errors.facet, r)}
    count, against = agreed(errors)
    print(f"| {', '.join(s for s in SIGNALS if s in signals)} favour one label | {share(count, n)} |")
    print(f"| and it is not gold | {share(against, count)} |")
    united = [d for d in suspected if len(d.against) == len(signals)]
    print(f"| confident and all of these against gold | {share(len(united), n)} |")
    pairs, different = near_duplicates(errors)
    print(f"| near-duplicates with another gold label, of pairs | {different} of {pairs} |")
    print("\n| cases | n | decided against gold |\n| --- | --- | --- |")
    for group, inside in by_group(errors):
        print(f"| {group} | {int(inside.sum())} | {share(int(errors.is_wrong[inside].sum()), int(inside.sum()))} |")


def share(count: int, n: int) -> str:
    """A count with its share and the 95% interval of that."""
    return f"{count} of {n}, {Proportion(hits=count, n=n)}" if n else "0 of 0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path)
    parser.add_argument("--data", type=Path, help="the data file, where the suite has none of its own")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--list", type=int, default=0, help="name so many of the most doubtful cases of each facet")
    parser.add_argument("--short", metavar="PREFIX:WORDS", help="kappa with and without such short write-ups")
    options = parser.parse_args()
    suite = Suite.load(options.suite)
    taxonomy = Taxonomy.load(suite.taxonomy)
    cases = suite.load_data(taxonomy, options.data).cases
    records = [r for r in Run.read(options.run).records if r.status == "done"]
    for facet in map(taxonomy.facet, suite.facets):
        errors = None if facet.cardinality == "multi" else Errors.of(facet, records, cases)
        if errors is not None:
            show(suite.name, errors)
            if options.short:
                prefix, _, words = options.short.rpartition(":")
                for name, kappa in without_short(errors, prefix, int(words)):
                    print(f"{name}: n = {kappa.n}, kappa {kappa}")
            for d in doubts(errors)[: options.list]:
                sure = "confident" if d.is_confident else "         "
                print(f"{d.case_id}  {d.gold} {d.of_gold:.2f} -> {d.decided} {d.of_decided:.2f} {sure} {d.against}")


if __name__ == "__main__":
    main()
