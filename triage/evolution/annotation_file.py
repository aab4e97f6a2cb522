"""Annotations as JSON Lines, one object of `triage.annotation.Annotation` a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from triage.annotation import Annotation


def write_annotations(annotations: Iterable[Annotation], path: Path) -> None:
    """Write annotations, whole or not at all."""
    whole = path.with_name(f"{path.name}.tmp")
    whole.write_text("".join(f"{annotation.model_dump_json()}\n" for annotation in annotations), encoding="utf-8")
    whole.replace(path)
