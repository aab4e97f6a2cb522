"""`triage index`: verify, repair or rebuild the search index."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import FAILURE, JSON_OPTION, App, messages, output, print_json, print_result, watching

if TYPE_CHECKING:
    from triage.history.indexing import Indexer, IndexReport
    from triage.observability.progress import Progress

app = App(
    no_args_is_help=True,
    help="The history's search index. It is derived from the database and can be built anew at any time.",
)


@app.command()
async def verify(
    vectors: Annotated[bool, typer.Option("--vectors", help="Compare every vector, not one in fifty.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Compare the whole index with the database. Exit code 0: they agree, 1: they differ.

    With a Chroma server beside a running service; without one while no service is running.
    """
    async with _opened() as (indexer, progress):
        report = await indexer.compare(progress, all_vectors=vectors)
    print_result(report, as_json, _print, {**report._asdict(), "is_clean": report.is_clean})
    if not report.is_clean:
        raise typer.Exit(FAILURE)


@app.command()
async def repair(as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Bring the index in line: what processes left undone, and whatever else differs from the database."""
    async with _opened() as (indexer, progress):
        caught_up, mended = await indexer.repair(older_than_s=0), await indexer.mend(progress)
    if as_json:
        print_json({"caught_up": caught_up, "mended": mended})
    else:
        output().print(f"{caught_up} incidents caught up with, {mended} more put right.")


@app.command()
async def rebuild(as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Empty the index and fill it from the database.

    Beside a service on a Chroma server, searches find less until it is done. Nothing of deleted incidents stays.
    """
    async with _opened() as (indexer, progress):
        size = await indexer.rebuild(progress)
    if as_json:
        print_json({"history_size": size})
    else:
        output().print(f"The index holds {size} incidents.")


@contextlib.asynccontextmanager
async def _opened() -> AsyncIterator[tuple[Indexer, Progress]]:
    from triage.app.wiring.storage import open_index

    with watching() as progress:
        async with open_index(Settings()) as casebook:
            yield casebook.indexer, progress


def _print(report: IndexReport, console: Console) -> None:
    marks = f"; {report.marks} changes wait to be worked off" if report.marks else ""
    console.print(f"{report.incidents} incidents compared, {report.vectors} vectors{marks}.")
    if report.is_clean:
        console.print("[green]The index is whole.[/green]")
        return
    for kind in ("missing", "surplus", "differing", "other_vectors"):
        if count := getattr(report, kind):
            console.print(f"[red]{count} {kind.replace('_', ' ')}[/red]")
    for example in report.examples:
        console.print(f"  {escape(example)}")
    messages().print("`triage index repair` puts it right; `triage index rebuild` builds it anew.")
