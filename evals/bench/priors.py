"""What the model favours on average, per facet, from the journals of finished runs; prints YAML for priors.yaml.

    python evals/bench/priors.py runs/cloud_faults-... runs/engine_issues-... \\
        > triage/pipeline/classification/priors.yaml
    python evals/bench/priors.py --empty llm_inference >> triage/pipeline/classification/priors.yaml

Gold labels are not looked at. With `--empty` the local model is asked what it says of a write-up without content, as
it would be at the first incident: shipped where the average over write-ups was no better.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np
import yaml

from triage.app.settings import Settings
from triage.app.wiring.models import open_model
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.journal import CaseRecord
from triage.evaluation.runs import Run
from triage.pipeline.classification.letters import LetterClassifier

FLOOR = 1e-4


def average(records: list[CaseRecord], facet: Facet) -> dict[str, float]:
    """The normalised mean of the log-probabilities, within each group of labels that are asked for together."""
    found: dict[str, float] = {}
    for group in facet.groups:
        ids = [label.id for label in group]
        rows = [[record.sources[facet.id]["model"].get(label, 0.0) for label in ids] for record in records]
        asked = np.array([row for row in rows if sum(row) > 0])
        if len(asked):
            logs = np.log(np.maximum(asked / asked.sum(axis=1, keepdims=True), FLOOR)).mean(axis=0)
            shares = np.exp(logs) / np.exp(logs).sum()
            found |= {label: round(float(share), 4) for label, share in zip(ids, shares, strict=True)}
    return found


async def of_nothing(name: str) -> dict[str, object]:
    """What the local model says of a write-up without content, for every facet of a taxonomy."""
    taxonomy = Taxonomy.load(name)
    async with open_model(Settings(model="local")) as model:
        if model is None:
            raise SystemExit("there is no local model")
        classifier = LetterClassifier(model, deadline_s=300)
        facets: dict[str, dict[str, float]] = {facet.id: {} for facet in taxonomy.triaged}
        for facet in taxonomy.triaged:
            for group in facet.groups:
                prior, _ = await classifier.prior(taxonomy, facet, group)
                facets[facet.id] |= {label.id: round(prior[label.id], 4) for label in group}
        return {
            "model": model.name,
            "prompt": classifier.prompts[0],
            "taxonomy": f"{taxonomy.id}@{taxonomy.version}",
            "incidents": 1,
            "source": "what the model says of a write-up without content; the square root of it, normalised",
            "facets": facets,
        }


def main(folders: list[str]) -> None:
    """Print the measured prior of each run."""
    if folders[:1] == ["--empty"]:
        sys.stdout.write(yaml.safe_dump([asyncio.run(of_nothing(folders[1]))], sort_keys=False))
        return
    measured = []
    for folder in map(Path, folders):
        run = Run.read(folder)
        taxonomy = Taxonomy.load(run.suite.taxonomy)
        records = [r for r in run.records if r.status == "done" and not r.degraded and r.provenance]
        about = records[0].provenance
        asked = [f for f in taxonomy.facets if "model" in records[0].sources.get(f.id, {})]
        measured.append(
            {
                "model": about.model if about else None,
                "prompt": next(name for name in (about.prompts if about else ()) if name.startswith("letters@")),
                "taxonomy": f"{taxonomy.id}@{taxonomy.version}",
                "incidents": len(records),
                "source": f"suite {run.suite.name}",
                "facets": {facet.id: average([r for r in records if facet.id in r.sources], facet) for facet in asked},
            }
        )
    sys.stdout.write(yaml.safe_dump(measured, sort_keys=False))


if __name__ == "__main__":
    main(sys.argv[1:])
