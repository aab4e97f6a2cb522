"""Annotations from a file, and every mistake in it with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from triage.annotation import Annotation
from triage.evolution.annotation_file import read_annotations, write_annotations
from triage.intake.rows import InvalidDataset
from triage.taxonomy import Taxonomy

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

    assert read_annotations(tmp_path / "a.jsonl", LLM) == given


def test_names_are_read_as_ids(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"incident_id": "a", "facet": "category", "labels": ["Infrastructure"], "annotator": "ana"}\n'
    )

    assert read_annotations(tmp_path / "a.jsonl", LLM)[0].labels == ("infrastructure",)


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"incident_id": "a", "facet": "category", "labels": ["fire"], "annotator": "ana"}\n'
        '{"incident_id": "a", "facet": "colour", "labels": ["red"], "annotator": "ana"}\n'
        '{"incident_id": "a", "facet": "category", "labels": [], "annotator": "ana"}\n'
        "{]\n"
    )
    with pytest.raises(InvalidDataset) as caught:
        read_annotations(tmp_path / "a.jsonl", LLM)

    assert [(problem.line, problem.field) for problem in caught.value.problems] == [
        (1, "labels"),
        (2, "facet"),
        (3, "labels"),
        (4, ""),
    ]
    assert "'fire' is no label of facet 'category'" in caught.value.detail
