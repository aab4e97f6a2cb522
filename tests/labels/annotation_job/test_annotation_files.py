"""What is written can be read again."""

from __future__ import annotations

from pathlib import Path

from triage.domain.annotation import Annotation
from triage.domain.taxonomy import Taxonomy
from triage.intake.annotations import read_annotations
from triage.labels.annotation_job.annotation_files import write_annotations

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
