"""How much the decision should listen to the model's prior and to the neighbours: kappa on a grid, from finished runs.

    python evals/bench/decision.py runs/cloud_faults-... runs/cloud_reports-... runs/engine_issues-...

Every decision is made again from the sources that the run's journal kept, with the prior that is shipped now; no model
is asked. The weights in `triage/decision.py` were chosen on the development sets with this table.
"""

from __future__ import annotations

import sys
from pathlib import Path

from triage.agreement import Kappa, cohen_kappa
from triage.classification import Answer
from triage.classification.priors import measured_prior
from triage.decision import WEIGHTS, Weights, combine
from triage.evaluation.journal import CaseRecord
from triage.evaluation.runs import Run
from triage.evaluation.scoring import ABSTAINED
from triage.taxonomy import Facet, Taxonomy

PRIOR_WEIGHTS = (0.0, 0.5, 1.0)
VOTE_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 2.0)


def decided(record: CaseRecord, facet: Facet, prior: dict[str, float], weights: Weights) -> str:
    """The label that these weights choose; children are chosen under the parent that the run decided on."""
    sources = record.sources[facet.id]
    answer = Answer(distribution=sources["model"], prior=prior or sources.get("prior", {}))
    pooled = combine(facet, answer, sources.get("neighbours", {}), weights)
    allowed = {label.id for label in facet.children(record.predicted[facet.parent][:1])} if facet.parent else None
    return next(label for label in pooled if allowed is None or label in allowed)


def agreement(records: list[CaseRecord], facet: Facet, prior: dict[str, float], weights: Weights, n: int = 0) -> Kappa:
    """Kappa with gold, with an interval from `n` resamples."""
    gold = [record.gold[facet.id][0] for record in records]
    return cohen_kappa(gold, [decided(record, facet, prior, weights) for record in records], resamples=n)


def show(run: Run, taxonomy: Taxonomy, facet: Facet) -> None:
    """Print the grid for one facet, then each source alone and the weights as shipped, with intervals."""
    records = [r for r in run.records if "model" in r.sources.get(facet.id, {}) and r.gold.get(facet.id)]
    if not records:
        return
    about = records[0].provenance
    prompt = next(name for name in (about.prompts if about else ()) if name.startswith("letters@"))
    prior = measured_prior((about.model if about else None) or "", prompt, taxonomy).get(facet.id, {})
    print(f"\n{run.suite.name}: {facet.id}, n = {len(records)}; weight of the prior down, of the vote across")
    print("|  |" + "|".join(f" {vote} " for vote in VOTE_WEIGHTS) + "|\n|---|" + "---|" * len(VOTE_WEIGHTS))
    for weight in PRIOR_WEIGHTS:
        cells = [agreement(records, facet, prior, Weights(weight, vote)).value or 0.0 for vote in VOTE_WEIGHTS]
        print(f"| {weight} |" + "|".join(f" {cell:.2f} " for cell in cells) + "|")
    gold = [record.gold[facet.id][0] for record in records]
    for source in ("model", "neighbours"):
        shares = [record.sources[facet.id].get(source) or {ABSTAINED: 1.0} for record in records]
        alone = cohen_kappa(gold, [max(share, key=lambda label: share[label]) for share in shares], resamples=2_000)
        print(f"{source} alone: kappa {alone}")
    print(f"model without its prior: kappa {agreement(records, facet, prior, Weights(1.0, 0.0), 2_000)}")
    print(f"as shipped {tuple(WEIGHTS)}: kappa {agreement(records, facet, prior, WEIGHTS, 2_000)}")


def main(folders: list[str]) -> None:
    """Print the tables for each facet of each run that has one primary label."""
    for folder in folders:
        run = Run.read(Path(folder))
        taxonomy = Taxonomy.load(run.suite.taxonomy)
        for facet in map(taxonomy.facet, run.suite.facets):
            if facet.cardinality != "multi":
                show(run, taxonomy, facet)


if __name__ == "__main__":
    main(sys.argv[1:])
