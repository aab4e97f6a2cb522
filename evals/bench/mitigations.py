"""How well suggestions meet the mitigations that were really used, which nearest incident is close, and its words.

    python -m evals.bench.mitigations --reference llm_reference.dev.jsonl --data cos16.jsonl issre22.jsonl [--under-way]

Each incident is suggested mitigations from all others but its near-duplicates, the reference incidents from the shipped
history without the same event. The kinds of incident, which the suggestions are drawn to, are what classifiers teach
that were trained without its fold: its own labels are only looked at for the score. The shipped incidents are always
measured; `--data` adds files of JSON lines with `title`, `text` and `labels`, whose mitigations stand in
`mitigation_all` or `mitigation_class_rule_derived` and the kind in `root_cause`. With `--under-way` sentences that tell
how it ended are hidden.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evals.bench.mitigation_cases import Situation, read_reference, read_study, shipped, situations
from triage.agreement.interval import RESAMPLES, Interval
from triage.domain.annotation import Labels
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Neighbour
from triage.history.retrieval import by_likely_label
from triage.pipeline.decision import VOTE_TEMPERATURE
from triage.pipeline.ending import EndingReader
from triage.pipeline.mitigation import CLOSE, Shrinkage, estimate_shares, kind_facets, named_actions, suggest

MEASURES = ("hit@1", "hit@3", "nDCG@5")
TO_KIND = (0.0, 5.0, 10.0, 20.0, 40.0)
TO_PARENT = (1.0, 2.0, 4.0, 8.0)
SIMILARITIES = (-1.0, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 1.01)
WAS = "as it was"
SHIPPED = Path(__file__).parents[1] / "datasets/llm_incidents/incidents.jsonl"

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


def most_frequent(case: Situation) -> list[str]:
    """The mitigations of all other incidents, the most frequent first."""
    return list(estimate_shares(case.taxonomy, [], {}, case.examples))


def suggested(case: Situation) -> list[str]:
    """What is suggested, as shipped."""
    found = suggest(case.taxonomy, case.neighbours, case.decided, case.examples)
    return [suggestion.mitigation for suggestion in found.suggestions]


def as_it_was(case: Situation, to_kind: float = 20.0, to_whole: float = 4.0) -> list[str]:
    """The neighbours' mitigations by their share weighted by similarity, drawn to the likely kinds; then the usual
    ones of the decided category."""
    actions = {example.incident_id: _actions(case, example.labels) for example in case.examples}
    near = [(n.similarity, actions[n.incident_id]) for n in case.neighbours if actions[n.incident_id]]
    weights = [math.exp((similarity - max(s for s, _ in near)) / VOTE_TEMPERATURE) for similarity, _ in near]
    known = [
        (example.labels, actions[example.incident_id]) for example in case.examples if actions[example.incident_id]
    ]
    expected = {m: sum(m in used for _, used in known) / len(known) for m in {m for _, used in known for m in used}}
    kinds = [kind.id for kind in kind_facets(case.taxonomy) if kind.id in case.decided]
    for kind in kinds:
        likely = {each.label: each.probability for each in case.decided[kind].distribution}
        within = {label: [used for labels, used in known if label in labels.get(kind, ())] for label in likely}
        expected = {
            m: sum(
                chance * (sum(m in used for used in within[label]) + to_whole * share) / (len(within[label]) + to_whole)
                for label, chance in likely.items()
            )
            / sum(likely.values())
            for m, share in expected.items()
        }
    size = sum(weights) ** 2 / sum(weight**2 for weight in weights) if weights else 0.0
    scores: Counter[str] = Counter()
    for weight, (_, used) in zip(weights, near, strict=True):
        scores.update(dict.fromkeys(used, weight / sum(weights)))
    scored = {m: (size * share + to_kind * expected[m]) / (size + to_kind) for m, share in scores.items()}
    category = case.decided[kinds[0]].labels if kinds else ()
    usual = Counter(
        m
        for labels, used in known
        for m in used
        if kinds and set(category) & set(labels.get(kinds[0], ())) and m not in scored
    )
    return [
        *sorted(scored, key=lambda m: (-scored[m], m)),
        *[m for m in sorted(usual, key=lambda m: (-usual[m], m)) if _is_action(case, m)][:3],
    ]


def _actions(case: Situation, labels: Labels) -> list[str]:
    return named_actions(case.taxonomy.mitigation, labels) if case.taxonomy.mitigation else []


def _is_action(case: Situation, mitigation: str) -> bool:
    return case.taxonomy.mitigation is not None and case.taxonomy.mitigation.label(mitigation).is_action


def with_interval(values: Figures) -> str:
    """The mean with its bootstrap interval over incidents."""
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    return f"{values.mean():.2f} {Interval.of(values[draws].mean(axis=1))}"


def measure_grid(cases: Sequence[Situation]) -> Figures:
    """Shape (to_kind, to_parent, cases, measures)."""
    return np.array(
        [
            [
                [
                    figures(
                        list(estimate_shares(c.taxonomy, c.neighbours, c.decided, c.examples, Shrinkage(a, b))), c.used
                    )
                    for c in cases
                ]
                for b in TO_PARENT
            ]
            for a in TO_KIND
        ]
    )


def chosen(grids: Sequence[Figures]) -> tuple[int, int]:
    """The place with the highest nDCG@5 in the mean of the sets; the smaller amounts among equals."""
    mean = np.mean([of_set[:, :, :, MEASURES.index("nDCG@5")].mean(axis=2) for of_set in grids], axis=0)
    a, b = np.unravel_index(int(mean.argmax()), mean.shape)
    return int(a), int(b)


def print_table(title: str, cases: Sequence[Situation], grid: Figures, others: Sequence[Figures]) -> Figures:
    """The figures of each way to rank, with the paired difference to the ranking as it was, which is returned."""
    rankings = {"most frequent overall": most_frequent, WAS: as_it_was, "**as shipped**": suggested}
    ways = {name: np.array([figures(make(case), case.used) for case in cases]) for name, make in rankings.items()}
    a, b = chosen(others)
    ways[f"amounts chosen on the other sets ({TO_KIND[a]:g}, {TO_PARENT[b]:g})"] = grid[a, b]
    print(f"\n{title}, n = {len(cases)}\n")
    heads = (*MEASURES, "hit@1 more than it was", "nDCG@5 more than it was")
    print("| | " + " | ".join(heads) + " |\n| --- |" + " --- |" * len(heads))
    for name, values in ways.items():
        more = (values - ways[WAS])[:, [0, 2]]
        print(f"| {name} | " + " | ".join(with_interval(column) for column in (*values.T, *more.T)) + " |")
    return ways["**as shipped**"] - ways[WAS]


def print_precedents(cases: Sequence[Situation]) -> None:
    """By similarity of the incident that would be shown: how often it ended the same way, and is of the same kind."""
    nearest = [(found, case) for case in cases if (found := _nearest(case))]
    print("\n| similarity | nearest incidents | same mitigation | same failure mode, of those with one |")
    print("| --- | --- | --- | --- |")
    for low, high in itertools.pairwise(SIMILARITIES):
        within = [(n, case) for n, case in nearest if low <= n.similarity < high]
        if within:
            same = [bool(set(_actions(case, n.labels)) & case.used) for n, case in within]
            print(f"| {low:g} to {high:g} | {len(same)} | {np.mean(same):.2f} | {_same_kind(within)} |")
    found = [(suggest(c.taxonomy, c.neighbours, c.decided, c.examples).precedent, c) for c in cases]
    shown = [(p, c) for p, c in found if p is not None]
    right = [bool(set(p.mitigations) & c.used) for p, c in shown]
    kinds = [(n, c) for p, c in shown for n in c.neighbours if n.incident_id == p.incident_id]
    print(
        f"\nFrom {CLOSE} on, those of the likely kind first: shown for {len(shown)} of {len(cases)}, "
        f"same mitigation {with_interval(np.array(right, dtype=float))}, same failure mode {_same_kind(kinds)}"
    )


def _nearest(case: Situation) -> Neighbour | None:
    """The nearest incident that says what ended it, those of the likely kind first, however far it is."""
    used = [n for n in case.neighbours if _actions(case, n.labels)]
    kind = kind_facets(case.taxonomy)[-1].id
    likely = {each.label: each.probability for each in case.decided[kind].distribution} if kind in case.decided else {}
    return by_likely_label(used, kind, likely)[0] if used else None


def _same_kind(pairs: Sequence[tuple[Neighbour, Situation]]) -> str:
    kind = kind_facets(pairs[0][1].taxonomy)[-1].id
    same = [bool(set(n.labels.get(kind, ())) & set(case.labels[kind])) for n, case in pairs if case.labels.get(kind)]
    return f"{np.mean(same):.2f} (n = {len(same)})" if same else "-"


def print_sentences() -> None:
    """How often the sentence found in a shipped incident holds, or is part of, its quote for the mitigation."""
    taxonomy = Taxonomy.load("llm_inference")
    if taxonomy.mitigation is None:
        return
    reader = EndingReader(taxonomy.mitigation)
    found, right = [], []
    for line in SHIPPED.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if quote := _plain(row["evidence"].get("mitigation", "")):
            sentence = reader.find(f"{row['title']}\n\n{row['write_up']}", row["labels"]["mitigation"])
            said = _plain(sentence[0]) if sentence else ""
            found.append(bool(said))
            right.append(bool(said) and (said in quote or quote in said))
    print(f"\nA sentence on what ended it: found in {sum(found)} of {len(found)}, the quoted one in {sum(right)}")


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--under-way", action="store_true", help="hide how the incidents ended")
    options = parser.parse_args()
    taxonomy, history = Taxonomy.load("llm_inference"), shipped()
    sets = {"llm_incidents": (taxonomy, history, history)}
    if options.reference:
        sets["llm_reference"] = (taxonomy, read_reference(options.reference), history)
    sets |= {path.stem: (made, records, records) for path in options.data for made, records in (read_study(path),)}
    cases = {
        name: await situations(of, records, past, under_way=options.under_way)
        for name, (of, records, past) in sets.items()
    }
    grids = {name: measure_grid(of_set) for name, of_set in cases.items()}
    more = []
    for name, of_set in cases.items():
        others = [grid for other, grid in grids.items() if other != name] or [grids[name]]
        more.append(print_table(name, of_set, grids[name], others))
        print_precedents(of_set)
    print(
        f"\nAll {sum(map(len, more))} incidents, as shipped more than it was: "
        + ", ".join(f"{m} {with_interval(c)}" for m, c in zip(MEASURES, np.concatenate(more).T, strict=True))
    )
    average = np.mean([grid.mean(axis=2) for grid in grids.values()], axis=0)[:, :, MEASURES.index("nDCG@5")]
    print("\nnDCG@5, mean of the sets; rows: to_kind, columns: to_parent\n")
    print("| | " + " | ".join(f"{b:g}" for b in TO_PARENT) + " |\n| --- |" + " --- |" * len(TO_PARENT))
    for a, row in zip(TO_KIND, average, strict=True):
        print(f"| {a:g} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    print_sentences()


if __name__ == "__main__":
    asyncio.run(main())
