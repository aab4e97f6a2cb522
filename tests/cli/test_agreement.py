"""`triage agreement`, as a user runs it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.store import Store, upgrade

pytestmark = pytest.mark.slow
LABELS = ["infrastructure", "operational", "inference_engine"]


def rows() -> list[dict[str, Any]]:
    """60 incidents: bob differs from ada in every sixth, the model in every second."""
    found: list[dict[str, Any]] = []
    for i in range(60):
        label = LABELS[i % 3]
        other = LABELS[(i + 1) % 3]
        found += [
            {"incident_id": f"i{i}", "facet": "category", "labels": [label], "annotator": "ada"},
            {
                "incident_id": f"i{i}",
                "facet": "category",
                "labels": [other if i % 6 == 0 else label],
                "annotator": "bob",
            },
            {
                "incident_id": f"i{i}",
                "facet": "category",
                "labels": [other if i % 2 else label],
                "annotator": "model:m",
                "origin": "model",
            },
        ]
    return found


def test_annotations_of_a_file_are_measured_and_the_report_fits_the_terminal(triage: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows())))
    done = triage("agreement", "a.jsonl")

    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    for told in (
        "ada – bob",
        "human-human ceiling",
        "Krippendorff's alpha",
        "Fleiss' kappa",
        "model:m with",
        "below them",
    ):
        assert told in shown
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_csv_says_the_same_as_jsonl_and_json_holds_every_figure(triage: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows())))
    # The CSV gives the labels by their names, as people do.
    names = {label: label.replace("_", " ").title() for label in LABELS}
    lines = [
        f"{row['incident_id']},category,{names[row['labels'][0]]},{row['annotator']},{row.get('origin', '')}"
        for row in rows()
    ]
    (tmp_path / "a.csv").write_text("incident_id,facet,labels,annotator,origin\n" + "\n".join(lines))
    options = ("--json", "--facet", "category", "--seed", "3", "--bootstrap", "200")
    one, other = (json.loads(triage("agreement", f"a.{kind}", *options).stdout) for kind in ("jsonl", "csv"))

    assert one == other
    assert (one["seed"], one["resamples"]) == (3, 200)
    pair = one["facets"][0]["pairs"][0]
    assert pair["kappa"]["observed"] == pytest.approx(50 / 60)
    assert pair["kappa"]["interval"]["method"] == "bca"


def test_mistakes_in_a_file_are_told_by_line(triage: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "incident_id,facet,labels,annotator\ni1,category,no_such,ada\ni2,nothing,x,ada\n,category,operational,ada\n"
    )
    done = triage("agreement", "a.csv")

    assert done.returncode == 2
    assert "line 2, field labels.category: 'no_such' is no label" in " ".join(done.stderr.split())
    assert "line 3, field facet: 'nothing' is no facet" in " ".join(done.stderr.split())
    assert "line 4, field incident_id" in done.stderr
    assert "Traceback" not in done.stderr
    assert triage("agreement", "missing.jsonl").returncode == 2


async def _store(folder: Path) -> None:
    url = f"sqlite:///{folder / 'triage.db'}"
    await upgrade(url)
    store = Store(url)
    annotations = [Annotation.model_validate(row) for row in rows() if row["annotator"] != "model:m"]
    incidents = {one.incident_id: Incident(id=one.incident_id, write_up="It failed.") for one in annotations}
    await store.record(annotations, imported=incidents, taxonomy="llm_inference")
    await store.close()


def test_without_a_file_the_annotations_of_the_service_are_measured(triage: Run, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    nothing = triage("agreement", TRIAGE_DATA_DIR=str(folder))
    assert nothing.returncode == 0
    assert "Give a file of annotations" in nothing.stderr

    asyncio.run(_store(folder))
    report = json.loads(triage("agreement", "--json", TRIAGE_DATA_DIR=str(folder)).stdout)
    assert report["annotations"] == 120
    assert report["facets"][0]["ceiling"]["value"] == pytest.approx(0.75, abs=0.01)
