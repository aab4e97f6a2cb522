"""How much each source of a decision should count: kappa on a grid, and of each source alone, from finished runs.

    python evals/bench/decision.py runs/cloud_faults-... runs/engine_issues-... --history runs/cloud_faults-...

Every decision is made again from the sources that the run's journal kept, with the prior that is shipped now; no model
is asked. With `--history`, what the history says comes from another run of the same suite, say one with
TRIAGE_MODEL=none: that takes seconds, a run with the local model hours. The weights in `triage/decision.py` were chosen
on the development sets with these tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from triage.agreement import Kappa, cohen_kappa
from triage.classification import Answer
from triage.classification.priors import measured_prior
from triage.decision import WEIGHTS, Weights, combine
from triage.evaluation.journal import CaseRecord
from triage.evaluation.runs import Run
from triage.evaluation.scoring import ABSTAINED
from triage.taxonomy import Facet, Taxonomy

HISTORY = ("neighbours", "words", "embedding")
CHOICES = {
    "model": Weights(prior=0.0, vote=0.0, words=0.0, embedding=0.0),
    "model, prior divided out": Weights(vote=0.0, words=0.0, embedding=0.0),
    "+ neighbours": Weights(vote=0.5, words=0.0, embedding=0.0),
    "+ words": Weights(vote=0.0, words=0.5, embedding=0.0),
    "+ embedding": Weights(vote=0.0, words=0.0, embedding=0.5),
    "+ words and embedding": Weights(vote=0.0),
    "all, words and embedding 0.25": Weights(words=0.25, embedding=0.25),
    "all, words 0.75, embedding 0.25": Weights(words=0.75, embedding=0.25),
    "all, words and embedding 0.75": Weights(words=0.75, embedding=0.75),
    "all, vote 0.5": Weights(vote=0.5),
    "as shipped": WEIGHTS,
}

Shares = Mapping[str, Mapping[str, float]]


def label_of(record: CaseRecord, facet: Facet, pooled: Mapping[str, float]) -> str:
    """The first label, for a child facet under the parent that the run decided on."""
    allowed = {label.id for label in facet.children(record.predicted[facet.parent][:1])} if facet.parent else None
    return next((label for label in pooled if allowed is None or label in allowed), ABSTAINED)


def decide(record: CaseRecord, history: Shares, facet: Facet, prior: dict[str, float], weights: Weights) -> str:
    """The label that these weights choose, with what the model said in `record`."""
    sources = record.sources[facet.id]
    answer = Answer(distribution=sources["model"], prior=prior or sources.get("prior", {}))
    return label_of(record, facet, combine(facet, answer, history, weights))


def show(run: Run, taxonomy: Taxonomy, facet: Facet, histories: dict[str, CaseRecord]) -> None:
    """Print the tables for one facet."""
    records = [r for r in run.records if "model" in r.sources.get(facet.id, {}) and r.gold.get(facet.id)]
    if not records:
        return
    about = records[0].provenance
    prompt = next(name for name in (about.prompts if about else ()) if name.startswith("letters@"))
    prior = measured_prior((about.model if about else None) or "", prompt, taxonomy).get(facet.id, {})
    gold = [record.gold[facet.id][0] for record in records]
    kept = [histories.get(record.case_id, record).sources.get(facet.id, {}) for record in records]
    known: list[Shares] = [{source: one[source] for source in HISTORY if source in one} for one in kept]

    def kappa(labels: list[str]) -> Kappa:
        return cohen_kappa(gold, labels, resamples=2_000)

    print(f"\n## {run.suite.name}: {facet.id}, n = {len(records)}\n\n| | kappa [95% interval] |\n| --- | --- |")
    for source in HISTORY:
        alone = [combine(facet, None, {source: shares.get(source, {})}) for shares in known]
        print(f"| {source} alone | {kappa([label_of(r, facet, p) for r, p in zip(records, alone, strict=True)])} |")
    together = [combine(facet, None, shares) for shares in known]
    print(f"| history alone | {kappa([label_of(r, facet, p) for r, p in zip(records, together, strict=True)])} |")
    for name, weights in CHOICES.items():
        labels = [decide(r, shares, facet, prior, weights) for r, shares in zip(records, known, strict=True)]
        print(f"| {name} | {kappa(labels)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="+", help="folder of a finished run")
    parser.add_argument("--history", type=Path, action="append", default=[], help="run to take the history from")
    options = parser.parse_args()
    others = {run.suite.name: run for run in map(Run.read, options.history)}
    for run in map(Run.read, options.run):
        taxonomy = Taxonomy.load(run.suite.taxonomy)
        other = others.get(run.suite.name)
        histories = {record.case_id: record for record in other.records} if other else {}
        for facet in map(taxonomy.facet, run.suite.facets):
            if facet.cardinality != "multi":
                show(run, taxonomy, facet, histories)


if __name__ == "__main__":
    main()
