"""`triage index`: verify, repair or rebuild the search index."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import FAILURE, JSON_OPTION, messages, output, print_json, run, watching

T = TypeVar("T")

if TYPE_CHECKING:
    from triage.history.casebook import Casebook
    from triage.history.indexing import IndexReport
    from triage.observability.progress import Progress

app = typer.Typer(
    no_args_is_help=True,
    help="The history's search index. It is derived from the database and can be built anew at any time.",
)


@app.command()
def verify(
    vectors: Annotated[bool, typer.Option("--vectors", help="Compare every vector, not one in fifty.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Compare the whole index with the database. Exit code 0: they agree, 1: they differ.

    With a Chroma server beside a running service; without one while no service is running.
    """

    report = run(_with_index(lambda casebook, progress: casebook.indexer.compare(progress, all_vectors=vectors)))
    if as_json:
        print_json({**report._asdict(), "is_clean": report.is_clean})
    else:
        _print(report)
    if not report.is_clean:
        raise typer.Exit(FAILURE)


@app.command()
def repair(as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Bring the index in line: what processes left undone, and whatever else differs from the database."""

    async def work(casebook: Casebook, progress: Progress) -> tuple[int, int]:
        return await casebook.indexer.repair(older_than_s=0), await casebook.indexer.mend(progress)

    caught_up, mended = run(_with_index(work))
    if as_json:
        print_json({"caught_up": caught_up, "mended": mended})
    else:
        output().print(f"{caught_up} incidents caught up with, {mended} more put right.")


@app.command()
def rebuild(as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Empty the index and fill it from the database.

    Beside a service on a Chroma server, searches find less until it is done. Nothing of deleted incidents stays.
    """

    size = run(_with_index(lambda casebook, progress: casebook.indexer.rebuild(progress)))
    if as_json:
        print_json({"history_size": size})
    else:
        output().print(f"The index holds {size} incidents.")


async def _with_index(work: Callable[[Casebook, Progress], Coroutine[Any, Any, T]]) -> T:
    from triage.app.wiring.storage import open_index

    with watching() as progress:
        async with open_index(Settings()) as casebook:
            return await work(casebook, progress)


def _print(report: IndexReport) -> None:
    console = output()
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
