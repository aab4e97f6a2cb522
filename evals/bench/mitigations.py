"""How well the ranked suggestions meet the mitigations that were really used: hit@1, hit@3, nDCG@5, and a grid.

    python evals/bench/mitigations.py --data FILE FILE

Each incident is suggested mitigations from all others but its near-duplicates. The kind of incident, which the
suggestions are drawn to, is what its nearest neighbours vote for: its own labels are only looked at for the score.
The shipped incidents are always measured; `--data` adds files of JSON lines with `title`, `text` and `labels`, whose
mitigations stand in `mitigation_all` or `mitigation_class_rule_derived` and the kind in `root_cause`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from triage.agreement.interval import RESAMPLES, Interval
from triage.annotation import Labels
from triage.decision import VOTE_TEMPERATURE
from triage.embedding.onnx import MiniLM
from triage.evaluation import shipped_history
from triage.history import Example
from triage.history.duplicates import is_near_duplicate
from triage.history.retrieval import rank
from triage.mitigation import Shrinkage, suggest, support_shares
from triage.redaction import Redactor
from triage.taxonomy import Facet, Label, Taxonomy
from triage.triage_result import FacetResult, Neighbour

NEIGHBOURS = 10
MEASURES = ("hit@1", "hit@3", "nDCG@5")
GRID = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
MITIGATIONS = ("mitigation_all", "mitigation_class_rule_derived")
NO_ACTION = ("other", "unknown", "undisclosed")


class Situation(NamedTuple):
    """One incident as the pipeline meets it, and the mitigations that were used in it."""

    taxonomy: Taxonomy
    neighbours: list[Neighbour]
    examples: list[Example]
    decided: dict[str, FacetResult]
    used: set[str]


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


def weighted_share(situation: Situation, same_kind: float = 1.0) -> list[str]:
    """The neighbours' share weighted by similarity; those of the decided kind weigh `same_kind`."""
    kind = situation.taxonomy.triaged[0].id
    labels = set(situation.decided[kind].labels) if kind in situation.decided else set()
    scores: dict[str, float] = {}
    support: Counter[str] = Counter()
    for neighbour in situation.neighbours:
        factor = same_kind if labels & set(neighbour.labels.get(kind, ())) else 1.0
        for mitigation in actions(situation.taxonomy, neighbour.labels):
            weight = factor * math.exp((neighbour.similarity - 1) / VOTE_TEMPERATURE)
            scores[mitigation] = scores.get(mitigation, 0.0) + weight
            support[mitigation] += 1
    return sorted(scores, key=lambda m: (-scores[m], -support[m], m))


def shrunken(situation: Situation, shrinkage: Shrinkage) -> list[str]:
    """The supported suggestions in their order, without what they hold."""
    shares = support_shares(situation.taxonomy, situation.neighbours, situation.decided, situation.examples, shrinkage)
    support = Counter(m for n in situation.neighbours for m in actions(situation.taxonomy, n.labels))
    return sorted(shares, key=lambda m: (-shares[m], -support[m], m))


def as_shipped(situation: Situation) -> list[str]:
    """What `suggest` answers, general advice included."""
    found = suggest(situation.taxonomy, situation.neighbours, situation.decided, situation.examples)
    return [suggestion.mitigation for suggestion in found]


def actions(taxonomy: Taxonomy, labels: Labels) -> list[str]:
    """The mitigations among `labels` that say what was done."""
    facet = taxonomy.mitigation
    known = {label.id for label in facet.labels if not label.undisclosed} if facet else set()
    return [m for m in dict.fromkeys(labels.get(facet.id, ()) if facet else ()) if m in known]


async def situations(taxonomy: Taxonomy, records: Sequence[tuple[str, str, Labels]]) -> list[Situation]:
    """Each (id, text, labels) with known mitigations, and what the others are to it."""
    embedder, redactor = MiniLM(), Redactor()
    texts = [redactor.redact(text).text for _, text, _ in records]
    vectors = np.concatenate([await embedder.embed(texts[at : at + 16]) for at in range(0, len(texts), 16)])
    kind, found = taxonomy.triaged[0].id, []
    for n, (_, _, labels) in enumerate(records):
        used = set(actions(taxonomy, labels))
        if not used:
            continue
        others = [i for i in range(len(records)) if i != n and not is_near_duplicate(texts[n], texts[i])]
        candidates = [
            (
                Neighbour(
                    incident_id=records[i][0],
                    similarity=float(np.clip(vectors[i] @ vectors[n], -1, 1)),
                    labels=records[i][2],
                ),
                texts[i],
            )
            for i in others
        ]
        neighbours = rank(texts[n], candidates)[:NEIGHBOURS]
        examples = [Example(records[i][0], texts[i], vectors[i], records[i][2]) for i in others]
        found.append(Situation(taxonomy, neighbours, examples, voted(kind, neighbours), used))
    return found


def voted(kind: str, neighbours: Sequence[Neighbour]) -> dict[str, FacetResult]:
    """The kind that the neighbours vote for, weighted by similarity."""
    votes: dict[str, float] = {}
    for neighbour in neighbours:
        for label in neighbour.labels.get(kind, ())[:1]:
            votes[label] = votes.get(label, 0.0) + math.exp((neighbour.similarity - 1) / VOTE_TEMPERATURE)
    winner = max(votes, key=lambda label: votes[label], default=None)
    return {kind: FacetResult(facet=kind, labels=(winner,))} if winner else {}


def read(path: Path) -> tuple[Taxonomy, list[tuple[str, str, Labels]]]:
    """The incidents of a file, with a taxonomy made of the labels that stand in it."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    key = next(key for key in MITIGATIONS if any(row["labels"].get(key) for row in rows))
    records = []
    for row in rows:
        found = {"kind": [row["labels"].get("root_cause")], "mitigation": row["labels"].get(key) or []}
        labels = {facet: tuple(identifier(label) for label in ids if label) for facet, ids in found.items()}
        records.append(
            (row["id"], f"{row.get('title') or ''}\n\n{row['text']}", {f: v for f, v in labels.items() if v})
        )
    facets = [made_facet(facet, sorted({m for _, _, ls in records for m in ls.get(facet, ())})) for facet in found]
    return (
        Taxonomy(id="made", version="1.0.0", title=path.stem, description=f"Labels of {path.stem}.", facets=facets),
        records,
    )


def made_facet(facet: str, ids: Sequence[str]) -> Facet:
    """A facet whose labels have their names for definitions."""
    is_mitigation = facet == "mitigation"
    labels = tuple(
        Label(
            id=label,
            name=label.replace("_", " "),
            definition=label,
            includes=(label,),
            excludes=("none",),
            deciding_rule="none",
            example="none",
            undisclosed=label in NO_ACTION,
        )
        for label in ids
    )
    return Facet(
        id=facet,
        name=facet,
        question=facet,
        cardinality="multi" if is_mitigation else "primary_first",
        role="mitigation" if is_mitigation else None,
        labels=labels,
    )


def identifier(label: str) -> str:
    """The label as the id of a taxonomy's label."""
    return "".join(letter if letter.isalnum() else "_" for letter in label.casefold())


def with_interval(values: NDArray[np.float64]) -> str:
    """The mean with its bootstrap interval over incidents."""
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    return f"{values.mean():.2f} {Interval.of(values[draws].mean(axis=1))}"


def print_table(title: str, cases: list[Situation], elsewhere: Shrinkage | None) -> None:
    """The figures of each way to rank; `elsewhere` is the shrinkage that the other sets alone would have chosen."""
    ways: dict[str, Callable[[Situation], list[str]]] = {
        "most frequent overall": most_frequent,
        "similarity-weighted share": weighted_share,
        "the same, decided kind weighs double (as it was)": lambda case: weighted_share(case, 2.0),
        "shrunken share": lambda case: shrunken(case, Shrinkage()),
    }
    if elsewhere is not None:
        name = f"shrunken share, amounts chosen on the other sets ({elsewhere.to_kind:g}, {elsewhere.to_whole:g})"
        ways[name] = lambda case: shrunken(case, elsewhere)
    ways["**shrunken share, then general advice (as shipped)**"] = as_shipped
    print(f"\n{title}, n = {len(cases)}\n")
    heads = (*MEASURES, "nDCG@5 more than it was")
    print("| | " + " | ".join(heads) + " |\n| --- |" + " --- |" * len(heads))
    before = np.array([figures(weighted_share(case, 2.0), case.used) for case in cases])
    for name, way in ways.items():
        values = np.array([figures(way(case), case.used) for case in cases])
        columns = [*values.T, (values - before)[:, 2]]
        print(f"| {name} | " + " | ".join(with_interval(column) for column in columns) + " |")


def best(grids: Sequence[NDArray[np.float64]]) -> Shrinkage:
    """The amounts with the highest nDCG@5 in the mean of the sets; the smaller ones among equals."""
    mean = np.mean(grids, axis=0)[:, :, MEASURES.index("nDCG@5")]
    a, b = np.unravel_index(int(mean.argmax()), mean.shape)
    return Shrinkage(GRID[a], GRID[b])


def grid(cases: list[Situation]) -> NDArray[np.float64]:
    """hit@1, hit@3 and nDCG@5 for each pair of (`to_kind`, `to_whole`) of the grid."""
    return np.array(
        [
            [np.mean([figures(shrunken(case, Shrinkage(a, b)), case.used) for case in cases], axis=0) for b in GRID]
            for a in GRID
        ]
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    shipped = [(incident.id, incident.text, labels) for incident, labels in shipped_history()]
    sets = {"llm_incidents": (Taxonomy.load("llm_inference"), shipped)} | {p.stem: read(p) for p in options.data}
    cases = {name: await situations(taxonomy, records) for name, (taxonomy, records) in sets.items()}
    grids = {name: grid(found) for name, found in cases.items()}
    for name, found in cases.items():
        others = [of_set for other, of_set in grids.items() if other != name]
        print_table(name, found, best(others) if others else None)
    average = np.mean(list(grids.values()), axis=0)
    for m, measure in enumerate(MEASURES):
        print(f"\n{measure}, mean of the sets, without general advice; rows: to_kind, columns: to_whole\n")
        print("| | " + " | ".join(f"{b:g}" for b in GRID) + " |\n| --- |" + " --- |" * len(GRID))
        for a, row in zip(GRID, average[:, :, m], strict=True):
            print(f"| {a:g} | " + " | ".join(f"{value:.3f}" for value in row) + " |")


if __name__ == "__main__":
    asyncio.run(main())
