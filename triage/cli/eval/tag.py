"""`triage eval tag`: name a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from triage.cli.eval.reports import ROOT, RUN
from triage.cli.terminal import fail, messages
from triage.domain.errors import TriageError


def tag(
    run: Annotated[str, RUN],
    name: Annotated[str, typer.Argument(help="The tag, as `main`: gates say `vs main`.")],
    root: Annotated[Path, ROOT] = Path("runs"),
) -> None:
    """Give a run a name that gates and commands can use; the suite's run that had it before loses it."""
    from triage.evaluation.archive import Archive

    try:
        archive = Archive(root)
        found = archive.find(run)
        before = archive.tag(found, name)
    except TriageError as error:
        fail(error)
    moved = f" (it was {before})" if before and before != found.folder.name else ""
    messages().print(f"{escape(name)} is now {escape(found.folder.name)}{escape(moved)}.")
