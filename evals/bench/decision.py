"""How much the decision should listen to the model's prior and to the neighbours: kappa on a grid, from runs.

    python evals/bench/decision.py runs/cloud_faults-... runs/cloud_reports-... runs/engine_issues-...

Uses what each run's journal kept of the sources of its decisions; no model is asked. The labels that the weights in
`triage/decision.py` were chosen on are the development sets'.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from triage.agreement import cohen_kappa
from triage.evaluation.journal import CaseRecord, read_journal

PRIOR_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
VOTE_WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0)
FLOOR = 0.02


def kappa(
    records: list[CaseRecord], facet: str, prior_weight: float, vote_weight: float, model_weight: float = 1
) -> float:
    """Kappa of the labels that these weights would have chosen, by the rule of `triage.decision.combine`."""
    gold, chosen = [], []
    for record in records:
        sources = record.sources[facet]
        labels = sorted({label for source in sources.values() for label in source})

        def score(label: str, sources: dict[str, dict[str, float]] = sources) -> float:
            model = max(sources.get("model", {}).get(label, 0), FLOOR**2)
            prior = max(sources.get("prior", {}).get(label, 0), FLOOR)
            votes = max(sources.get("neighbours", {}).get(label, 0), FLOOR)
            terms = model_weight * np.log(model) - prior_weight * np.log(prior) + vote_weight * np.log(votes)
            return float(terms)

        gold.append(record.gold[facet][0])
        chosen.append(max(labels, key=score))
    return cohen_kappa(gold, chosen).value or 0.0


def main(folders: list[str]) -> None:
    """Print one table per run."""
    for folder in folders:
        records = [record for record in read_journal(Path(folder) / "cases.jsonl") if record.status == "done"]
        facet = next(iter(records[0].gold))
        print(f"\n{Path(folder).name}: {facet}, n = {len(records)}; prior weight down, vote weight across")
        print("|  |" + "|".join(f" {weight} " for weight in VOTE_WEIGHTS) + "|")
        print("|---|" + "---|" * len(VOTE_WEIGHTS))
        for prior_weight in PRIOR_WEIGHTS:
            cells = [f" {kappa(records, facet, prior_weight, vote_weight):.2f} " for vote_weight in VOTE_WEIGHTS]
            print(f"| {prior_weight} |" + "|".join(cells) + "|")
        print(f"neighbours alone: {kappa(records, facet, 0, 1, model_weight=0):.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
