"""Records of cases as a run leaves them, made from labels alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from triage.domain.triage_result import Provenance
from triage.evaluation import CaseRecord, Run, Suite
from triage.evaluation.journal import NeighbourRecord
from triage.evaluation.runs import RunIdentity, RunInfo


def record(
    case_id: str,
    gold: Sequence[str],
    said: Sequence[str],
    *,
    facet: str = "cause",
    seconds: float = 1.0,
    tokens: int = 100,
    sure: float = 0.8,
    neighbour: str | None = None,
    failed: bool = False,
) -> CaseRecord:
    if failed:
        return CaseRecord(
            case_id=case_id, status="failed", error="no answer", gold={facet: tuple(gold)}, seconds=seconds
        )
    best = said[0] if said else "code"
    return CaseRecord(
        case_id=case_id,
        status="done",
        gold={facet: tuple(gold)} if gold else {},
        predicted={facet: tuple(said)},
        distributions={facet: {best: sure, "other": 1 - sure}},
        evidence={facet: len(said)},
        neighbours=(NeighbourRecord(incident_id="n", similarity=0.5, labels={facet: (neighbour,)}),)
        if neighbour
        else (),
        seconds=seconds,
        provenance=Provenance(taxonomy="small", taxonomy_version="1.0.0", prompt_tokens=tokens, model_calls=1),
    )


def write_run(folder: Path, suite: Suite, records: Sequence[CaseRecord]) -> Run:
    """A finished run in `folder`, as the runner leaves it."""
    folder.mkdir(parents=True)
    info = RunInfo(
        identity=RunIdentity(
            suite=suite.fingerprint, data="d", taxonomy="small 1.0.0", settings={"model": folder.name}
        ),
        suite=suite,
        dataset="data",
        data_path="data.jsonl",
        started_at="2026-01-02T03:04:05Z",  # type: ignore[arg-type]
    )
    (folder / "run.json").write_text(info.model_dump_json())
    (folder / "cases.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in records))
    return Run.read(folder)
