"""Finished runs with planted errors, written to a folder as `triage eval run` does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from triage.domain.taxonomy import Taxonomy
from triage.evaluation import CaseRecord, RunIdentity
from triage.evaluation.runs import CASES, RunInfo
from triage.evaluation.suites import Suite
from triage.pipeline.decision import RULE

TAXONOMY = Taxonomy.load("engine_issues")
IDS = TAXONOMY.facet("issue_type").ids
WORDS = {
    "bug": "the traceback shows a crash in the kernel",
    "performance": "throughput fell and the latency is higher",
    "usage": "how can this be configured for two adapters",
    "feature_request": "please support the new quantisation format",
    "installation": "building the wheel with pip does not work",
}


def write_noisy_run(folder: Path, *, cases: int = 120, planted: Sequence[int] = (), seed: int = 0) -> Path:
    """A run whose sources know the true label in nine cases of ten; the gold of the cases in `planted` is another."""
    rng = np.random.default_rng(seed)
    records, rows = [], []
    for n in range(cases):
        true = str(rng.choice(IDS))
        gold = IDS[(IDS.index(true) + 1) % len(IDS)] if n in planted else true
        sources = {name: said(rng, true) for name in ("words", "embedding", "neighbours", "definitions")}
        guess = max(IDS, key=lambda label: sum(source[label] for source in sources.values()))
        rows.append(row(n, gold, f"{WORDS[true].capitalize()}. It was seen on host {n}."))
        records.append(
            CaseRecord(
                case_id=f"vllm-{n}",
                status="done",
                gold={"issue_type": (gold,)},
                predicted={"issue_type": (guess,)},
                distributions={"issue_type": sources["words"]},
                sources={"issue_type": sources},
                seconds=0.1,
            )
        )
    return write_run(folder, records, rows)


def said(rng: np.random.Generator, true: str) -> dict[str, float]:
    guess = true if rng.random() < 0.9 else str(rng.choice(IDS))
    return {label: 0.8 if label == guess else 0.2 / (len(IDS) - 1) for label in IDS}


def row(number: int, label: str, text: str) -> dict[str, Any]:
    return {
        "id": f"vllm-{number}",
        "source": "vllm_issue_type",
        "url": f"https://example.org/{number}",
        "title": f"Case {number}",
        "text": text,
        "created_at": "2024-11-05T11:34:17+00:00",
        "labels": {"engine": "vllm", "issue_type": label},
        "label_origin": "human",
    }


def write_run(folder: Path, records: Sequence[CaseRecord], rows: Sequence[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    data = folder.parent / f"{folder.name}.jsonl"
    data.write_text("".join(json.dumps(one) + "\n" for one in rows))
    suite = Suite(
        name="engine_issues",
        description="for tests",
        taxonomy="engine_issues",
        adapter="vllm",
        facets=("issue_type",),
    )
    digest = suite.load_data(TAXONOMY, data).sha256
    identity = RunIdentity(suite=suite.fingerprint, data=digest, taxonomy="t", settings={"decision": RULE})
    info = RunInfo(
        identity=identity,
        suite=suite,
        dataset="x",
        data_path=str(data),
        started_at="2026-01-01T00:00:00Z",  # type: ignore[arg-type]
    )
    (folder / "run.json").write_text(info.model_dump_json())
    (folder / CASES).write_text("".join(record.model_dump_json() + "\n" for record in records))
    return folder
