"""How well planted label errors are found: gold labels of a finished run are flipped at random and looked for.

    python -m evals.bench.planted_label_errors RUN... [--share 0.1] [--seeds 5]

The sources of the run learned from the labels as they were, and only gold is flipped: with errors in the history too,
fewer would be found. Errors of people are no random flips either; so this is the best case.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.journal import finished
from triage.evaluation.runs import Run
from triage.evaluation.suspects import find_suspects


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("runs", nargs="+", type=Path)
    options.add_argument("--share", type=float, default=0.1)
    options.add_argument("--seeds", type=int, default=5)
    chosen = options.parse_args()
    for folder in chosen.runs:
        run = Run.read(folder)
        taxonomy = Taxonomy.load(run.suite.taxonomy)
        for name in run.suite.facets:
            facet = taxonomy.facet(name)
            if facet.cardinality != "multi":
                figures = [measure(run, taxonomy, facet, chosen.share, seed) for seed in range(chosen.seeds)]
                top, recall, suspects = np.mean(figures, axis=0)
                print(
                    f"{run.suite.name} {name}: of the first suspects, as many as were planted, {top:.0%} are planted; "
                    f"{recall:.0%} of the planted are suspected, among {suspects:.0f} suspects"
                )


def measure(run: Run, taxonomy: Taxonomy, facet: Facet, share: float, seed: int) -> tuple[float, float, float]:
    """Precision among the first suspects, recall among all, and how many suspects there are."""
    rng = np.random.default_rng(seed)
    records = [record for record in finished(run.records).values() if record.gold.get(facet.id)]
    planted = set(rng.choice(len(records), round(share * len(records)), replace=False).tolist())
    flipped = []
    for n, record in enumerate(records):
        others = [label for label in facet.ids if label not in record.gold[facet.id]]
        gold = (str(rng.choice(others)),) if n in planted else record.gold[facet.id]
        flipped.append(record.model_copy(update={"gold": {facet.id: gold}}))
    suite = run.suite.model_copy(update={"facets": (facet.id,)})
    found = find_suspects(run.model_copy(update={"records": tuple(flipped), "suite": suite}), taxonomy)[0].suspects
    wrong = {records[n].case_id for n in planted}
    top = [one.case_id in wrong for one in found[: len(planted)]]
    return float(np.mean(top)), len({one.case_id for one in found} & wrong) / len(wrong), float(len(found))


if __name__ == "__main__":
    main()
