"""Does the radar see a label that is missing? One after another is taken out of a taxonomy and out of the history.

    python -m evals.bench.radar --adapter cloud_reports --facet service_category --data FILE --out radar-gcp.json
    python -m evals.bench.radar --adapter issre22 --taxonomy cloud_faults --facet root_cause=root_cause_merged8 ...
    python -m evals.bench.radar --adapter vllm --taxonomy engine_issues --facet issue_type ...

What is recent are all incidents of the hidden label and half of each other one's; the other half is the history. They
are triaged without a chat model by the pipeline that serves, and looked at with the radar's own criteria. The best
group is the one with the highest F1 for the hidden label; beside it stands what as many groups of the same sizes reach
that are drawn by lot. With nothing hidden every group is a false alarm.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evals.bench.learning_curve import RememberingEmbedder, RememberingRedactor
from triage.agreement.proportion import Proportion
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation import Case, load_dataset
from triage.evaluation.subjects import PipelineUnderTest
from triage.history import Example
from triage.history.chroma import ChromaHistory
from triage.insights.radar import DEFAULT_CRITERIA, Criteria, Radar, Sighting, Suspect, scan
from triage.insights.radar.findings import reasons, usual_nearest
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.pipeline import Pipeline

LEAST_HIDDEN = 8
DRAWS = 200
FOUND = 0.5
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Best(NamedTuple):
    """How well a group matches the hidden label: the share of it that has the label, and of the label's that is in."""

    f1: float = 0.0
    precision: float = 0.0
    recall: float = 0.0
    size: int = 0

    @classmethod
    def of(cls, groups: Sequence[Sequence[str]], hidden: set[str]) -> Best:
        """The best of the groups."""
        best = cls()
        for group in groups:
            hits = len(hidden & set(group))
            if hits:
                precision, recall = hits / len(group), hits / len(hidden)
                f1 = 2 * precision * recall / (precision + recall)
                best = max(best, cls(f1, precision, recall, len(group)))
        return best


class Trial(NamedTuple):
    """One label hidden (None: nothing) with one seed: what the radar showed of `recent` incidents."""

    hidden: str | None
    seed: int
    incidents: int
    recent: int
    ill_fitting: int
    groups: int
    false_groups: int
    best: Best
    by_lot: Best


def without(taxonomy: Taxonomy, facet: Facet, hidden: str | None) -> Taxonomy:
    """The taxonomy with this facet alone, and without the hidden label."""
    labels = tuple(
        label.model_copy(update={"rival": None if label.rival == hidden else label.rival})
        for label in facet.labels
        if label.id != hidden
    )
    return taxonomy.model_copy(update={"facets": (facet.model_copy(update={"labels": labels}),)})


def recent_of(cases: Sequence[Case], facet: str, hidden: str | None, seed: int) -> list[Case]:
    """All cases of the hidden label, and a random half of each other one's."""
    lots = np.random.default_rng(seed)
    by_label: dict[str, list[Case]] = {}
    for case in cases:
        by_label.setdefault(case.gold[facet][0], []).append(case)
    found: list[Case] = []
    for label in sorted(by_label):
        having = by_label[label]
        order = lots.permutation(len(having)).tolist()
        found += having if label == hidden else [having[place] for place in order[: len(having) // 2]]
    return found


class Bench:
    """One data set and one facet of it."""

    def __init__(self, taxonomy: Taxonomy, facet: Facet, cases: Sequence[Case], criteria: Criteria) -> None:
        self._taxonomy, self._facet, self._cases, self._criteria = taxonomy, facet, cases, criteria
        self._embedder, self._redactor = RememberingEmbedder(MiniLM()), RememberingRedactor()

    async def run(self, seeds: int) -> list[Trial]:
        """Every label with enough incidents hidden once for each seed, and nothing hidden."""
        counts = {label: sum(c.gold[self._facet.id][0] == label for c in self._cases) for label in self._facet.ids}
        hidden = [label for label in self._facet.ids if counts[label] >= LEAST_HIDDEN]
        wanted = [label for label in hidden if not self._facet.label(label).residual]
        trials = []
        for label in (None, *wanted):
            for seed in range(seeds):
                trials.append(await self._try(label, seed))
                print(*told(trials[-1]), sep="\t", flush=True)
        return trials

    async def _try(self, hidden: str | None, seed: int) -> Trial:
        taxonomy = without(self._taxonomy, self._facet, hidden)
        facet = taxonomy.facets[0]
        recent = recent_of(self._cases, facet.id, hidden, seed)
        is_recent = {case.id for case in recent}
        radar = await self._look(taxonomy, facet, recent, [case for case in self._cases if case.id not in is_recent])
        named = {case.id for case in recent if case.gold[facet.id][0] == hidden}
        groups = [group.incidents for group in radar.groups]
        lots = np.random.default_rng(seed)
        ids = [case.id for case in recent]
        drawn = [
            Best.of([lots.choice(ids, len(group), replace=False).tolist() for group in groups], named)
            for _ in range(DRAWS)
        ]
        return Trial(
            hidden,
            seed,
            len(named),
            len(recent),
            len(radar.ill_fitting),
            len(groups),
            sum(len(named & set(group)) < FOUND * len(group) for group in groups),
            Best.of(groups, named),
            Best(*np.mean(drawn, axis=0).tolist()),
        )

    async def _look(self, taxonomy: Taxonomy, facet: Facet, recent: Sequence[Case], history: Sequence[Case]) -> Radar:
        """As `triage.insights.radar.scan_store` does, without a store."""
        index = ChromaHistory.open(None, self._embedder.fingerprint)
        pipeline = Pipeline(taxonomy, self._redactor, self._embedder, index)
        subject = PipelineUnderTest(pipeline, index, self._redactor, self._embedder)
        await subject.prepare(history, lambda *_: None)
        says = {label.id for label in facet.labels if not (label.residual or label.undisclosed)}
        known = [case for case in history if case.gold[facet.id][0] in says]
        labelled = [
            Example(case.id, text, vector, case.gold)
            for case, (text, vector) in zip(known, await self._embedded(known), strict=True)
        ]
        places = np.stack([example.vector for example in labelled])
        usual = usual_nearest(places, self._criteria.far)
        suspects = []
        for case, (text, vector) in zip(recent, await self._embedded(recent), strict=True):
            result = (await subject.run(case.incident)).facets[facet.id]
            incident = case.incident.model_copy(update={"title": "", "write_up": text})
            seen = case.incident.started_at or NOW
            sighting = Sighting(incident, seen, (), result, float((places @ vector).max()))
            if why := reasons(facet, sighting, self._criteria.least_probability, usual):
                suspects.append(Suspect(sighting, why, vector))
        index.close()
        return scan(taxonomy, facet, suspects, labelled, len(recent), self._criteria)

    async def _embedded(self, cases: Sequence[Case]) -> Iterator[tuple[str, Any]]:
        texts = [self._redactor.redact(case.incident.text).text for case in cases]
        return zip(texts, await self._embedder.embed(texts), strict=True)


def told(trial: Trial) -> list[str]:
    """A line of the table."""
    best, lot = ([f"{x:.2f}" for x in (one.precision, one.recall, one.f1)] for one in (trial.best, trial.by_lot))
    counts = (trial.incidents, trial.recent, trial.ill_fitting, trial.groups, trial.false_groups, trial.best.size)
    return [trial.hidden or "(nothing)", str(trial.seed), *map(str, counts), *best, *lot]


def summary(trials: Sequence[Trial]) -> Mapping[str, Any]:
    """The means over all hidden labels and seeds, and what is shown where nothing is hidden."""
    hidden = [trial for trial in trials if trial.hidden is not None]
    nothing = [trial for trial in trials if trial.hidden is None]
    found = Proportion(hits=sum(trial.best.precision >= FOUND for trial in hidden), n=len(hidden))
    return {
        "trials": len(hidden),
        "found": str(found),
        **{name: round(float(np.mean([getattr(t.best, name) for t in hidden])), 2) for name in Best._fields},
        "by lot": {n: round(float(np.mean([getattr(t.by_lot, n) for t in hidden])), 2) for n in Best._fields[:3]},
        "false groups a look": round(float(np.mean([t.false_groups for t in hidden])), 2),
        "groups with nothing hidden": round(float(np.mean([t.groups for t in nothing])), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--taxonomy", help="by default the one named like the adapter")
    parser.add_argument("--facet", required=True, help="FACET, or FACET=FIELD of the data")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    for name, kind in Criteria.__annotations__.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float if "float" in str(kind) else int)
    options = parser.parse_args()
    given = {name: value for name in Criteria._fields if (value := getattr(options, name)) is not None}
    taxonomy = Taxonomy.load(options.taxonomy or options.adapter)
    name, _, field = options.facet.partition("=")
    cases = load_dataset(options.adapter, options.data, taxonomy, {name: field or name}).cases
    bench = Bench(taxonomy, taxonomy.facet(name), cases, DEFAULT_CRITERIA._replace(**given))
    trials = asyncio.run(bench.run(options.seeds))
    found = summary(trials)
    print(json.dumps(found, indent=2))
    if options.out is not None:
        trials_told = [
            trial._asdict() | {"best": trial.best._asdict(), "by_lot": trial.by_lot._asdict()} for trial in trials
        ]
        options.out.write_text(json.dumps({"summary": found, "trials": trials_told}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
