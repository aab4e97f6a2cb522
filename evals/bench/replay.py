"""Recorded answers of large models replayed as the model: what history, definitions and calibration add to them.

    TRIAGE_MODEL=none triage eval run evals/suites/cloud_reports.yaml --data FILE --out runs
    python evals/bench/replay.py runs/cloud_reports-... --data FILE

The `recorded` answers of the ICPE 2026 study (six models, two prompts) take the place of the model's distribution:
nothing is asked. Everything is cross-fitted over the run's folds. The last rows take the twelve answers as samples of
one model.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from triage.agreement import accuracy_at, cohen_kappa, expected_calibration_error, risk_coverage
from triage.domain.errors import TriageError
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.metrics import ABSTAINED
from triage.evaluation.runs import Run
from triage.pipeline.calibration import Observation, cross_fit

SURE = 0.9
"""The probability of a recorded label: the models stated none."""


def recorded(path: Path, facet: Facet) -> dict[str, dict[str, str]]:
    """Case id -> run of a model -> its label; an answer that is no label of the facet counts as none."""
    answers: dict[str, dict[str, str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        answers[row["id"]] = {}
        for run, answer in row["recorded"].items():
            try:
                answers[row["id"]][run] = facet.label(str((answer or {}).get(facet.id) or "")).id
            except TriageError:
                answers[row["id"]][run] = ABSTAINED
    return answers


def as_distribution(labels: Sequence[str], facet: Facet) -> dict[str, float]:
    """The share of each label among some answers, the rest of the probability spread evenly."""
    given = [label for label in labels if label != ABSTAINED]
    sure = SURE if given else 0.0
    rest = (1 - sure) / len(facet.ids)
    return {label: rest + sure * given.count(label) / max(len(given), 1) for label in facet.ids}


def measure(
    name: str, run: Run, facet: Facet, answers: Mapping[str, Sequence[str]]
) -> tuple[str, float | None, float | None]:
    """One line of the table; its kappa alone and with the decision step."""
    records = [r for r in run.records if r.gold.get(facet.id) and answers.get(r.case_id)]
    gold = [r.gold[facet.id][0] for r in records]
    said = [max(answers[r.case_id], key=list(answers[r.case_id]).count) for r in records]
    alone = cohen_kappa(gold, said)
    observations = [
        Observation(
            {facet.id: {**r.sources[facet.id], "model": as_distribution(list(answers[r.case_id]), facet)}},
            r.gold,
            r.fold,
        )
        for r in records
    ]
    cross = cross_fit(facet, observations)
    if cross is None:
        return f"| {name} | too few cases |", None, None
    best = cross.after.argmax(axis=1)
    decided = cohen_kappa(gold, [cross.labels[b] for b in best])
    stated, right = cross.after.max(axis=1).tolist(), (best == cross.gold).tolist()
    curve = risk_coverage(stated, right)
    cells = [
        name,
        str(len(records)),
        str(alone),
        str(decided),
        *(f"{accuracy_at(curve, share) or 0:.2f}" for share in (1.0, 0.6, 0.5)),
        f"{expected_calibration_error(stated, right) or 0:.3f}",
    ]
    return "| " + " | ".join(cells) + " |", alone.value, decided.value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run of the suite, with or without a model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--facet", default="root_cause")
    options = parser.parse_args()
    run = Run.read(options.run)
    facet = Taxonomy.load(run.suite.taxonomy).facet(options.facet)
    answers = recorded(options.data, facet)
    models = sorted({model for said in answers.values() for model in said})
    print("| replayed | n | kappa alone | with the decision step | accuracy | at 60% coverage | at 50% | ECE |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    raised = 0
    for model in models:
        line, alone, decided = measure(
            model, run, facet, {case: [said[model]] for case, said in answers.items() if model in said}
        )
        raised += (decided or 0.0) > (alone or 0.0)
        print(line)
    print(
        measure("all twelve as samples", run, facet, {case: list(said.values()) for case, said in answers.items()})[0]
    )
    print(f"\nThe decision step raises kappa for {raised} of {len(models)} recorded runs.")


if __name__ == "__main__":
    main()
