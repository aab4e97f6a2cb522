"""What a new user gets: the shipped history and calibrator on labelled incidents of others, without a chat model.

    python -m evals.bench.shipped llm_reference.dev.jsonl

Each row of the file has `id`, `title`, `text`, `url` and `labels`; `cause_told` says whether its text tells the cause.
Category and failure mode are scored on rows that do. What the shipped history tells of the same event (by address) is
hidden from a row. Prints the kappa of each source alone and of the decision, then of the labels that are given.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from triage.agreement import accuracy_at, cohen_kappa, expected_calibration_error, risk_coverage
from triage.app.settings import Settings
from triage.app.wiring.components import open_components
from triage.domain.incident import Incident
from triage.domain.triage_result import FacetResult

HISTORY = Path(__file__).parents[1] / "datasets" / "llm_incidents" / "incidents.jsonl"
NEEDS_CAUSE = ("category", "failure_mode")
HEAD = ("facet", "n", "kappa", "accuracy", "surest 60%", "ECE", "answered", "kappa where answered", "sources alone")


class Decided(NamedTuple):
    """One labelled facet of one row."""

    gold: str
    result: FacetResult


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


async def decide(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Decided]]:
    """Facet -> the results of its labelled rows."""
    events: dict[str, list[str]] = {}
    for shipped in read_rows(HISTORY):
        events.setdefault(shipped["source_url"], []).append(shipped["id"])
    decided: dict[str, list[Decided]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with open_components(Settings(data_dir=Path(folder), model="none")) as components:
            for row in rows:
                incident = Incident(id=row["id"], title=row["title"], write_up=row["text"])
                triage, _ = await components.pipeline.run(incident, exclude=events.get(row["url"], []))
                for facet, labels in row["labels"].items():
                    is_scored = bool(labels) and (row.get("cause_told", True) or facet not in NEEDS_CAUSE)
                    if is_scored and labels[0] in components.taxonomy.facet(facet).ids:
                        decided.setdefault(facet, []).append(Decided(labels[0], triage.facets[facet]))
    return decided


def row_of(facet: str, cases: Sequence[Decided]) -> tuple[str, ...]:
    """The table's row of one facet. Without a distribution the likeliest label is none."""
    gold = [case.gold for case in cases]
    likeliest = [case.result.distribution[0].label if case.result.distribution else "" for case in cases]
    stated = [case.result.distribution[0].probability if case.result.distribution else 0.0 for case in cases]
    right = [label == answer for label, answer in zip(gold, likeliest, strict=True)]
    answered = [case for case in cases if case.result.labels]
    kappa_answered = cohen_kappa([case.gold for case in answered], [case.result.labels[0] for case in answered])
    sources = sorted({source for case in cases for source in case.result.sources})
    alone = ", ".join(
        f"{source} {cohen_kappa(gold, [likeliest_of(case.result.sources.get(source, {})) for case in cases]).value:.2f}"
        for source in sources
    )
    surest = accuracy_at(risk_coverage(stated, right), 0.6) or 0.0
    return (
        facet,
        str(len(cases)),
        str(cohen_kappa(gold, likeliest)),
        f"{sum(right) / len(right):.2f}",
        f"{surest:.2f}",
        f"{expected_calibration_error(stated, right) or 0:.3f}",
        f"{len(answered) / len(cases):.0%}",
        str(kappa_answered),
        alone,
    )


def likeliest_of(shares: Mapping[str, float]) -> str:
    """The label with the largest share; empty without any."""
    return max(shares, key=lambda label: shares[label], default="")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    decided = asyncio.run(decide(read_rows(parser.parse_args().data)))
    for cells in (HEAD, ["---"] * len(HEAD), *(row_of(facet, cases) for facet, cases in decided.items())):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
