"""What each source of a decision is worth: kappa of each alone, of all together, and of all without each.

    python evals/bench/decision.py runs/cloud_faults-... runs/engine_issues-...

Every decision is made again from the sources that the runs' journals kept; no model is asked. 'Cross-fitted' rows are
decided by a calibrator that was fitted on the other folds; 'as shipped' is the uncalibrated rule, whose weights were
chosen on the development sets with this table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from triage.agreement import accuracy_at, cohen_kappa, expected_calibration_error, risk_coverage
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.runs import Run
from triage.pipeline.calibration import CrossFit, Observation, cross_fit
from triage.pipeline.decision import default_rule


def line(name: str, cross: CrossFit, probabilities: np.ndarray) -> str:
    """One row of the table."""
    best = probabilities.argmax(axis=1)
    kappa = cohen_kappa([cross.labels[g] for g in cross.gold], [cross.labels[b] for b in best])
    stated, right = probabilities.max(axis=1).tolist(), (best == cross.gold).tolist()
    curve = risk_coverage(stated, right)
    accuracy, half = accuracy_at(curve, 1.0) or 0.0, accuracy_at(curve, 0.5) or 0.0
    ece = expected_calibration_error(stated, right) or 0.0
    return f"| {name} | {kappa} | {accuracy:.2f} | {half:.2f} | {ece:.3f} |"


def only(observations: Sequence[Observation], facet: Facet, sources: Sequence[str]) -> list[Observation]:
    """The observations with some sources only; the prior goes with the model."""
    kept = {*sources, "prior"} if "model" in sources else set(sources)
    return [
        o._replace(sources={facet.id: {s: shares for s, shares in o.sources.get(facet.id, {}).items() if s in kept}})
        for o in observations
    ]


def show(run: Run, facet: Facet, observations: Sequence[Observation]) -> None:
    """Print the table of one facet."""
    whole = cross_fit(facet, observations)
    if whole is None:
        return
    print(f"\n## {run.suite.name}: {facet.id}, n = {len(whole.gold)}\n")
    print("| | kappa [95% interval] | accuracy | at 50% coverage | ECE |\n| --- | --- | --- | --- | --- |")
    present = [s for s in default_rule(()).weights if any(s in o.sources.get(facet.id, {}) for o in observations)]
    raw = [
        Observation({facet.id: {"model": o.sources[facet.id]["model"]}}, o.gold, o.fold)
        for o in observations
        if "model" in o.sources.get(facet.id, {})
    ]
    if raw and (zero_shot := cross_fit(facet, raw)):
        print(line("model alone, zero-shot", zero_shot, zero_shot.before))
    for source in present:
        alone = cross_fit(facet, only(observations, facet, [source]))
        if alone is not None:
            name = "model alone, prior divided out" if source == "model" else f"{source} alone"
            print(line(name, alone, alone.before))
    for source in present:
        rest = cross_fit(facet, only(observations, facet, [s for s in present if s != source]))
        if rest is not None:
            print(line(f"all but {source}, cross-fitted", rest, rest.after))
    print(line("all, as shipped, uncalibrated", whole, whole.before))
    print(line("**all, cross-fitted**", whole, whole.after))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="+", help="folder of a finished run")
    for run in map(Run.read, parser.parse_args().run):
        taxonomy = Taxonomy.load(run.suite.taxonomy)
        observations = [Observation(r.sources, r.gold, r.fold) for r in run.records if r.status == "done"]
        for facet in map(taxonomy.facet, run.suite.facets):
            if facet.cardinality != "multi":
                show(run, facet, observations)


if __name__ == "__main__":
    main()
