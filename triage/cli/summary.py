"""`triage summary`: the draft of a post-incident summary."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import messages, run, without_control
from triage.domain.errors import InvalidInput
from triage.render.atomic_write import write_atomically


def summary(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    out: Annotated[Path | None, typer.Option(help="Write it to this file.", show_default=False)] = None,
) -> None:
    """Draft a post-incident summary in Markdown: times, labels, quotes, similar incidents, open questions.

    Made from what is stored of the incident; no model is asked.
    """
    if out is not None and not out.parent.is_dir():
        raise InvalidInput(f"There is no folder {out.parent}: make it, or name another file.", field="out")
    draft = run(_summary(incident))
    if out is None:
        sys.stdout.write(without_control(draft) if sys.stdout.isatty() else draft)
        return
    write_atomically(out, draft)
    messages().print(f"Written to {escape(str(out))}.")


async def _summary(incident_id: str) -> str:
    from triage.app.wiring.storage import open_store
    from triage.insights.study import Roles
    from triage.insights.summary import read_summary

    settings = Settings()
    async with open_store(settings) as (store, taxonomy):
        return await read_summary(store, incident_id, taxonomy, Roles.load(taxonomy, settings.study_roles))
