"""Folders that take long to fill: filled once for all processes of a test run, and copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def copy_template(name: str, fill: Callable[[Path], None], base: Path, to: Path) -> None:
    """Copy the folder `name`, which `fill` filled, to the new folder `to`.

    `base` is the base of pytest's temporary folders. Those of the processes of one run stand side by side.
    """
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    template = shared / name
    with FileLock(shared / f"{name}.lock"):
        if not template.exists():
            unfinished = shared / f"{name}-unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            fill(unfinished)
            unfinished.rename(template)
    shutil.copytree(template, to)
