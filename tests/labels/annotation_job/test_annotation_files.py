"""What is written can be read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parts import HashingEmbedder
from triage.domain.annotation import Annotation
from triage.domain.errors import InvalidInput
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.intake.annotations import read_annotations
from triage.labels.annotation_job.adjudication import Adjudication, Ruling
from triage.labels.annotation_job.annotation_files import csv_rows, import_annotations, json_lines, write_annotations
from triage.labels.annotation_job.disagreement import disagreements, opinions
from triage.redaction import Redactor
from triage.store import Store, upgrade

LLM = Taxonomy.load("llm_inference")


def test_annotations_survive_their_file(tmp_path: Path) -> None:
    given = [
        Annotation(
            incident_id="a", facet="category", labels=("infrastructure",), annotator="ana", note="Füße", is_gold=True
        ),
        Annotation(
            incident_id="a", facet="mitigation", labels=("restart", "rollback"), annotator="model:x@1", origin="model"
        ),
    ]
    write_annotations(given, tmp_path / "a.jsonl")

    assert read_annotations(tmp_path / "a.jsonl", LLM).annotations == given


@pytest.mark.parametrize("lines", [json_lines, csv_rows])
async def test_adjudications_keep_what_they_settle_in_another_store(
    casebook: Casebook, store: Store, tmp_path: Path, lines: Any
) -> None:
    untold = Annotation(incident_id="one", facet="category", labels=(), annotator="ada", origin="human")
    await casebook.annotate("one", [untold])
    await casebook.annotate("one", [untold.model_copy(update={"annotator": "grace", "labels": ("operational",)})])
    await Adjudication(casebook, store).settle("one", "lin", [Ruling("category", ())])
    given = await store.annotations.list("one")
    path = tmp_path / f"labels.{'csv' if lines is csv_rows else 'jsonl'}"
    path.write_text("".join(lines(given)), encoding="utf-8", newline="")

    other = await another(tmp_path)
    elsewhere = Casebook(other, casebook.history, Redactor(), HashingEmbedder(), LLM)
    imported = await import_annotations(path, read_annotations(path, LLM), elsewhere, other)
    again = await import_annotations(path, read_annotations(path, LLM), elsewhere, other)

    assert (imported.new, again.new) == (len(given), 0)
    there = await other.annotations.list("one")
    assert [(a.facet, a.labels, a.annotator) for a in opinions(there)] == [
        (a.facet, a.labels, a.annotator) for a in opinions(given)
    ]
    by_id = {a.id: a for a in there}
    settled = [[by_id[n].annotator for n in a.settles] for a in there if a.is_adjudication]
    assert settled == [["ada", "grace"], ["ada"]]
    assert disagreements(there, LLM) == []
    await other.close()


async def another(folder: Path) -> Store:
    """A store with the same incident, in which annotations get other ids."""
    url = f"sqlite:///{folder / 'other.db'}"
    await upgrade(url)
    other = Store(url)
    for name in ("zero", "one"):
        await other.incidents.add(Incident(id=name, write_up=f"Write-up {name}."), LLM.id)
    await other.record([Annotation(incident_id="zero", facet="category", labels=("operational",), annotator="max")])
    return other


def test_a_file_must_say_who_made_the_labels(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("incident_id,facet,labels,annotator\na,category,operational,ada\n")

    with pytest.raises(InvalidInput, match="line 2, field origin: does not say who made the labels: --origin human"):
        read_annotations(tmp_path / "a.csv", LLM)
    assert read_annotations(tmp_path / "a.csv", LLM, origin="derived").annotations[0].origin == "derived"


def test_a_verdict_on_nothing_in_the_file_is_refused(tmp_path: Path) -> None:
    row = {"incident_id": "a", "facet": "category", "labels": [], "annotator": "lin", "origin": "human"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row | {"settles": [7]}))

    with pytest.raises(InvalidInput, match="field settles: names no annotation of this facet that is earlier"):
        read_annotations(tmp_path / "a.jsonl", LLM)
