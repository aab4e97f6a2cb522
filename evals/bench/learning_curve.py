"""How much kappa depends on the amount of history; `curves.py` makes the tables and the plot of it.

    python -m evals.bench.learning_curve evals/suites/cloud_faults.yaml --data FILE --run runs/... --out curves
    python -m evals.bench.curves curves/*.json --plot docs/learning-curve.png

A seeded part of all cases is what is known; a case is decided from those of the part that are not in its fold. The
history's sources and the calibrator's fit are made anew from that part alone (below 30 cases the weights are the
uncalibrated ones), and no model is asked: what it said stands in the journal of `--run`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation import Case, Run, Suite
from triage.evaluation.subjects import PipelineUnderTest
from triage.evaluation.suites import Folds
from triage.history.chroma import ChromaHistory
from triage.history.duplicates import is_near_duplicate
from triage.models.embedding import Embedder, Vectors
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.calibration import LEAST_CASES, Observation, cross_fit
from triage.pipeline.decision import Sources, combine
from triage.pipeline.pipeline import Pipeline
from triage.redaction import Redacted, Redactor

SHARES = (0.0, 0.12, 0.25, 0.5, 0.75, 1.0)
FOLDS = 5
FROM_MODEL = ("model", "prior")


class Known(NamedTuple):
    """The cases that are known at one point of the curve; a larger part with the same seed holds the smaller ones."""

    share: float
    seed: int
    ids: frozenset[str]


class RememberingEmbedder:
    """An embedder that embeds each text once."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder, self._vectors = embedder, dict[str, Vectors]()
        self.fingerprint = embedder.fingerprint

    async def embed(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors |= zip(new, await self._embedder.embed(new), strict=True)
        return np.stack([self._vectors[text] for text in texts])


class RememberingRedactor(Redactor):
    """A redactor that reads each text once."""

    def __init__(self) -> None:
        super().__init__()
        self._redacted: dict[str, Redacted] = {}

    def redact(self, text: str) -> Redacted:
        if text not in self._redacted:
            self._redacted[text] = super().redact(text)
        return self._redacted[text]


def parts(cases: Sequence[Case], seeds: int) -> Iterator[Known]:
    """The points of the curve. With nothing or everything known all seeds are the same."""
    ids = [case.id for case in cases]
    for share in SHARES:
        for seed in range(seeds if 0 < share < 1 else 1):
            order = np.random.default_rng(seed).permutation(len(ids))[: round(share * len(ids))]
            yield Known(share, seed, frozenset(ids[i] for i in order))


async def measure(
    suite: Suite, taxonomy: Taxonomy, cases: Sequence[Case], said: Mapping[str, Any], seeds: int
) -> dict[str, Any]:
    """Facet -> gold labels and what was decided at each point; `said` is case -> facet -> what the model said."""
    redactor, embedder = RememberingRedactor(), RememberingEmbedder(MiniLM())
    history = ChromaHistory.open(None, embedder.fingerprint)
    subject = PipelineUnderTest(Pipeline(taxonomy, redactor, embedder, history), history, redactor, embedder)
    await subject.prepare(cases, lambda *_: None)
    folds = suite.folds_of(tuple(cases)) or {}
    unseen = hidden_from(cases, folds)
    facets = [f for f in taxonomy.triaged if f.id in suite.facets and f.cardinality != "multi"]
    points: dict[str, list[dict[str, Any]]] = {facet.id: [] for facet in facets}
    for known in parts(cases, seeds):
        sources, sizes = {}, {}
        for case in cases:
            hidden = unseen[folds[case.id]] | {c.id for c in cases if c.id not in known.ids}
            found = await subject.run(case.incident, exclude=hidden, duplicates=False)
            sources[case.id] = {facet: result.sources for facet, result in found.facets.items()}
            sizes[case.id] = len(cases) - len(hidden)
        for with_model in (True, False):
            decided = decide_all(facets, cases, sources, said if with_model else None, folds, known)
            for facet in facets:
                asked = [c for c in cases if c.id in decided[facet.id]]
                points[facet.id].append(
                    {
                        "share": known.share,
                        "seed": known.seed,
                        "model": with_model,
                        "history": float(np.mean([sizes[c.id] for c in asked])),
                        "gold": [c.gold[facet.id][0] for c in asked],
                        "decided": [decided[facet.id][c.id] for c in asked],
                    }
                )
        print(f"{suite.name}: {known.share:.0%}, seed {known.seed}", flush=True)
    history.close()
    return points


def hidden_from(cases: Sequence[Case], folds: Mapping[str, int]) -> dict[int, set[str]]:
    """What the cases of each fold may not see: one another, and near-duplicates of any of them.

    A run hides near-duplicates from each case alone; with one history for the whole fold the classifiers are trained
    once for all of its cases.
    """
    unseen = {fold: {c.id for c in cases if folds[c.id] == fold} for fold in set(folds.values())}
    for one, other in combinations(cases, 2):
        if is_near_duplicate(one.incident.text, other.incident.text):
            unseen[folds[one.id]].add(other.id)
            unseen[folds[other.id]].add(one.id)
    return unseen


def decide_all(
    facets: Sequence[Facet],
    cases: Sequence[Case],
    sources: Mapping[str, Mapping[str, Sources]],
    said: Mapping[str, Any] | None,
    folds: Mapping[str, int],
    known: Known,
) -> dict[str, dict[str, str]]:
    """Facet -> case -> label. Each fold's calibrator is fitted on the known cases of the other folds."""
    decided: dict[str, dict[str, str]] = {}
    for facet in facets:
        asked = [c for c in cases if c.gold.get(facet.id) and (said is None or c.id in said)]
        observed = {
            c.id: Observation(
                {facet.id: {**sources[c.id][facet.id], **((said or {}).get(c.id, {}).get(facet.id, {}))}}, c.gold
            )
            for c in asked
        }
        shares: dict[str, dict[str, float]] = {}
        for fold in sorted(set(folds.values())):
            mine = [c.id for c in asked if folds[c.id] == fold]
            rest = [c.id for c in asked if folds[c.id] != fold and c.id in known.ids]
            shares |= _calibrated(facet, [observed[i] for i in rest], mine, observed)
        parents = decided.get(facet.parent or "", {})
        decided[facet.id] = {c.id: _best(facet, shares[c.id], parents.get(c.id)) for c in asked}
    return decided


def _calibrated(
    facet: Facet, rest: Sequence[Observation], mine: Sequence[str], observed: Mapping[str, Observation]
) -> dict[str, dict[str, float]]:
    """Case -> label -> probability, from a rule that was fitted on `rest`, or the uncalibrated one."""
    if len(rest) >= LEAST_CASES:
        both = [o._replace(fold=0) for o in rest] + [observed[i]._replace(fold=1) for i in mine]
        cross = cross_fit(facet, both)
        if cross is not None:
            return {
                case: dict(zip(cross.labels, row, strict=True))
                for case, row in zip(mine, cross.after[len(rest) :].tolist(), strict=True)
            }
    return {i: combine(facet, observed[i].sources[facet.id]) for i in mine}


def _best(facet: Facet, shares: Mapping[str, float], parent: str | None) -> str:
    """The likeliest label, under the parent that was decided."""
    allowed = {label.id for label in facet.children([parent])} if parent else set(facet.ids)
    return max((label for label in facet.ids if label in allowed), key=lambda label: shares.get(label, 0.0))


def recorded(run: Run) -> dict[str, dict[str, Sources]]:
    """Case -> facet -> what the model said of it, and its prior."""
    return {
        r.case_id: {
            facet: {source: shares for source, shares in sources.items() if source in FROM_MODEL}
            for facet, sources in r.sources.items()
        }
        for r in run.records
        if r.status == "done" and not r.degraded
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path)
    parser.add_argument("--data", type=Path, help="the data file, where the suite has none of its own")
    parser.add_argument("--run", type=Path, required=True, help="folder of a run with the model")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("curves"))
    options = parser.parse_args()
    suite = Suite.load(options.suite)
    if not isinstance(suite.history, Folds):
        # Leaving one out would train the classifiers anew for every case.
        suite = suite.model_copy(update={"history": Folds(folds=FOLDS)})
    taxonomy = suite.narrow(Taxonomy.load(suite.taxonomy))
    cases = suite.load_data(taxonomy, options.data).cases
    points = asyncio.run(measure(suite, taxonomy, cases, recorded(Run.read(options.run)), options.seeds))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{suite.name}.json").write_text(json.dumps(points) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
