"""Annotations as JSON Lines, one object of `triage.domain.annotation.Annotation` a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from triage.domain.annotation import Annotation
from triage.render.atomic_write import write_atomically


def write_annotations(annotations: Iterable[Annotation], path: Path) -> None:
    """Write annotations, whole or not at all."""
    write_atomically(path, "".join(f"{annotation.model_dump_json()}\n" for annotation in annotations))
