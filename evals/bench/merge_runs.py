"""The model's answers of one run and all else of another one, as a run of its own.

    TRIAGE_MODEL=none triage eval run evals/suites/cloud_faults.yaml --data FILE --out runs
    python evals/bench/merge_runs.py MODEL_RUN HISTORY_RUN OUT

A run with the local model takes an hour, one without seconds: where only the history's part of the decision changed,
this saves asking the model the same questions again. The prompts must be the same ones.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from triage.evaluation.journal import CaseRecord
from triage.evaluation.runs import CASES, Run

FROM_MODEL = ("model", "prior")


def merged(said: CaseRecord, known: CaseRecord) -> CaseRecord:
    """`known` with the model's answers of `said`, and the provenance that a run with both would have."""
    if said.provenance is None or known.provenance is None:
        raise SystemExit(f"{said.case_id} has no provenance")
    sources = {
        facet: {source: shares for source, shares in known.sources.get(facet, {}).items() if source not in FROM_MODEL}
        | {source: shares for source, shares in answers.items() if source in FROM_MODEL}
        for facet, answers in said.sources.items()
    }
    about = said.provenance
    provenance = known.provenance.model_copy(
        update={"model": about.model, "prompts": about.prompts, "prompt_tokens": about.prompt_tokens}
    )
    return known.model_copy(
        update={"sources": sources, "provenance": provenance, "degraded": False, "degraded_reason": None}
    )


def main(model_run: Path, history_run: Path, out: Path) -> None:
    """Write the merged run: the cases that both have finished."""
    said = {r.case_id: r for r in Run.read(model_run).records if r.status == "done" and not r.degraded}
    known = {r.case_id: r for r in Run.read(history_run).records if r.status == "done"}
    shared = [case_id for case_id in known if case_id in said]
    out.mkdir(parents=True, exist_ok=True)
    info = json.loads((history_run / "run.json").read_text(encoding="utf-8"))
    asked = json.loads((model_run / "run.json").read_text(encoding="utf-8"))
    for name in ("model", "prompts"):
        info["identity"]["settings"][name] = asked["identity"]["settings"][name]
    (out / "run.json").write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
    lines = [merged(said[case_id], known[case_id]).model_dump_json() for case_id in shared]
    (out / CASES).write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(shared)} cases written to {out}\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
