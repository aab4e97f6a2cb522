"""`triage annotate label`: label what is assigned to one annotator, in the terminal."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import output, run
from triage.domain.errors import InvalidInput, MisconfiguredService


def label(
    annotator: Annotated[str, typer.Option(help="Your name, as in the assignment.")],
) -> None:
    """Label the incidents that are assigned to you, by keyboard. Every answer is saved at once; Ctrl-C loses nothing.

    You see neither what others said nor, unless the assignment allows it, what the model says.
    """
    assigned, done = run(_label(annotator))
    output().print(f"{done} of {assigned} incidents are done; everything is saved.")
    if done < assigned:
        output().print(f"Go on with: triage annotate label --annotator {escape(annotator)}", style="dim")


async def _label(annotator: str) -> tuple[int, int]:
    from triage.app.wiring import open_store
    from triage.labels.annotation_job.labelling import Labelling
    from triage.labels.annotation_job.session import Session

    require_terminal()
    from triage.cli.annotate.labelling_app import LabellingApp

    async with open_store(Settings()) as (store, taxonomy):
        session = await Session.open(Labelling(store, taxonomy), annotator)
        await LabellingApp(session, annotator).run_async()
        return session.progress


def require_terminal() -> None:
    """Raise if there is no terminal to draw on, or nothing to draw with."""
    try:
        import textual  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise MisconfiguredService(
            "Labelling in the terminal needs Textual: pip install 'triage[annotate]'.", extra="annotate"
        ) from error
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InvalidInput(
            "This needs a terminal. To label elsewhere, use the page /label of a running service, the API "
            "(GET /v1/annotators/{annotator}/next) or `triage annotate import`.",
            field="annotator",
        )
