"""How many of the retrieved incidents have the same gold label: recall, MRR and nDCG, and what each part adds.

    python evals/bench/retrieval.py evals/suites/cloud_faults.yaml --data FILE

Each incident searches all others but its near-duplicates. Relevant is one with the same first label. `hit@k` is the
share of incidents with a relevant one among the first k, `recall@k` the mean share of the relevant ones found there
(of at most k). The last rows re-rank by the label that the definitions alone expect, which no gold label goes into.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Neighbour
from triage.evaluation import Suite
from triage.history import Example
from triage.history.duplicates import is_near_duplicate
from triage.history.retrieval import Ranking, by_likely_label, diverse, rank
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.classification.likeness import DefinitionReader
from triage.pipeline.classification.sentences import split
from triage.redaction import Redactor

K = 10
Ranked = list[Neighbour]


def figures(relevant: NDArray[np.float64], total: int) -> tuple[float, ...]:
    """hit@5, hit@10, recall@5, recall@10, MRR and nDCG@10 of one ranking; `relevant` is 0 or 1 by place."""
    discount = 1 / np.log2(np.arange(2, K + 2))
    found = np.flatnonzero(relevant)
    return (
        float(relevant[:5].any()),
        float(relevant[:K].any()),
        float(relevant[:5].sum() / min(5, total)),
        float(relevant[:K].sum() / min(K, total)),
        1 / (1 + int(found[0])) if len(found) else 0.0,
        float((relevant[:K] * discount[: len(relevant[:K])]).sum() / discount[: min(K, total)].sum()),
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    suite = Suite.load(options.suite)
    taxonomy = Taxonomy.load(suite.taxonomy)
    cases = suite.load_data(taxonomy, options.data).cases
    embedder, redactor = MiniLM(), Redactor()
    reader = DefinitionReader(embedder, taxonomy)
    texts = [redactor.redact(case.incident.text).text for case in cases]
    batches = [await embedder.embed(texts[start : start + 16]) for start in range(0, len(texts), 16)]
    vectors = np.concatenate(batches)
    facet = suite.facets[0]
    ways: dict[str, Callable[[str, Sequence[tuple[Neighbour, str]], dict[str, float]], Ranked]] = {
        "embeddings": lambda text, found, _: rank(text, found, Ranking(words=0.0)),
        "BM25": lambda text, found, _: rank(text, [(n.model_copy(update={"similarity": 0}), d) for n, d in found]),
        "embeddings + BM25 (as shipped)": lambda text, found, _: rank(text, found),
        "+ diverse over labels": lambda text, found, _: diverse(rank(text, found), K, facet),
        "+ half-life of two years": lambda text, found, _: rank(text, found, Ranking(half_life_days=730)),
        "+ likely label first": lambda text, found, likely: by_likely_label(rank(text, found), facet, likely),
    }
    scores: dict[str, list[tuple[float, ...]]] = {name: [] for name in ways}
    for n, case in enumerate(cases):
        if not case.gold.get(facet):
            continue
        others = [i for i in range(len(cases)) if i != n and not is_near_duplicate(texts[n], texts[i])]
        found = [
            (
                Neighbour(
                    incident_id=cases[i].id,
                    similarity=float(np.clip(vectors[i] @ vectors[n], -1, 1)),
                    labels=cases[i].gold,
                    occurred_at=cases[i].incident.started_at,
                ),
                texts[i],
            )
            for i in others
        ]
        same = [
            neighbour.incident_id
            for neighbour, _ in found
            if neighbour.labels.get(facet, ())[:1] == case.gold[facet][:1]
        ]
        if not same:
            continue
        reference = [Example(cases[i].id, texts[i], vectors[i], {}) for i in others]
        likely = (await reader.read(split(texts[n]), reference)).distributions[facet]
        for name, way in ways.items():
            ranked = way(texts[n], found, likely)
            relevant = np.array([neighbour.incident_id in same for neighbour in ranked], dtype=np.float64)
            scores[name].append(figures(relevant, len(same)))
    print(f"\n## {suite.name}: {facet}, n = {len(next(iter(scores.values())))}\n")
    print("| | hit@5 | hit@10 | recall@5 | recall@10 | MRR | nDCG@10 |\n| --- | --- | --- | --- | --- | --- | --- |")
    for name, rows in scores.items():
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in np.mean(rows, axis=0)) + " |")


if __name__ == "__main__":
    asyncio.run(main())
