"""What the commands share: consoles, progress, tables, options, and how work is run, fails and is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import getpass
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.table import Column, Table
from typer.core import TyperGroup

from triage.app.settings import Settings
from triage.domain.errors import InvalidInput, TriageError
from triage.domain.principal import acting_as
from triage.render import tables

if TYPE_CHECKING:
    from triage.store import Store

T = TypeVar("T")

MISUSE, FAILURE, INTERRUPTED = 2, 1, 130
"""Exit codes beside 0: the command or its input is wrong, the work failed, Ctrl-C stopped it."""

JSON_OPTION = typer.Option("--json", help="Print JSON for programs.")
TEAM_OPTION = typer.Option("--team", help="Only this team's incidents and the shared ones; repeatable.")

_LINE_EVERY_S = 30.0
_NARROWEST = 16

# Control characters that a terminal may obey, except tab and line feed.
_CONTROL = dict.fromkeys({*range(0x20), *range(0x7F, 0xA0)} - {0x09, 0x0A})


class SafeConsole(Console):
    """A console that drops control characters from texts: anybody can write a write-up."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render without control characters in the texts."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else text.translate(_CONTROL), style, control)


def without_control(text: str) -> str:
    """`text` with each control character replaced by U+FFFD, so that its length stays."""
    return text.translate(dict.fromkeys(_CONTROL, "\ufffd"))


def output() -> Console:
    """Standard output, for the result only. 100 columns wide unless a terminal sets the width."""
    return SafeConsole(width=None if sys.stdout.isatty() else 100, highlight=False, soft_wrap=False)


def messages(*, quiet: bool = False) -> Console:
    """Standard error, for progress, notes and errors. With `quiet` it prints nothing: it is a log for programs."""
    return SafeConsole(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 100, quiet=quiet)


def print_json(value: Any) -> None:
    """Print one JSON document on standard output. The value may contain pydantic models."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=lambda model: model.model_dump(mode="json"))
    sys.stdout.write(text + "\n")


def print_result(value: T, as_json: bool, show: Callable[[T, Console], None], document: Any = None) -> None:
    """Print the result of a command as JSON (`document`, by default the value), or with `show` on standard output."""
    if as_json:
        print_json(value if document is None else document)
    else:
        show(value, output())


def plain_table(*columns: str | Column, right: Collection[str] = (), header_style: str = "table.header") -> Table:
    """A table without lines. Columns that are given by their heading fold long cells."""
    made = [
        Column(one, justify="right" if one in right else "left", overflow="fold") if isinstance(one, str) else one
        for one in columns
    ]
    has_headings = any(column.header for column in made)
    return Table(*made, box=None, padding=(0, 2, 0, 0), show_header=has_headings, header_style=header_style)


def figures_table(table: tables.Table, left_out: tuple[str, ...] = ()) -> Table:
    """A table of figures for the terminal, without the columns whose names begin with one of `left_out`.

    Print it with `crop=False`: a line that is too long is better than figures that are cut off.
    """
    shown = [(place, column) for place, column in enumerate(table.columns) if not column.name.startswith(left_out)]
    rows = [[tables.format_cell(row.cells[place], column.kind) for place, column in shown] for row in table.rows]
    made = plain_table(*(column.name for _, column in shown))
    for index, (_, column) in enumerate(shown):
        made.columns[index].justify = "left" if column.kind == "text" else "right"
        made.columns[index].min_width = min(max((len(row[index]) for row in rows), default=0), _NARROWEST)
    for row in rows:
        made.add_row(*map(escape, row))
    return made


def split_pair(text: str, form: str, example: str, option: str) -> tuple[str, str]:
    """The two sides of an option's value such as `FACET=LABEL`. Raises `InvalidInput` if one is missing."""
    name, _, value = (part.strip() for part in text.partition("="))
    if not (name and value):
        raise InvalidInput(f"{text!r} is not {form}, as in {example}.", field=option)
    return name, value


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run the command's work in the name of the operating system's user."""
    try:
        with acting_as(f"cli:{user_name()}"):
            return asyncio.run(work)
    except KeyboardInterrupt:
        messages().print("Stopped.")
        raise typer.Exit(INTERRUPTED) from None


class App(typer.Typer):
    """An app whose commands may be coroutine functions. They run in the name of the operating system's user."""

    def command(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """See `typer.Typer.command`."""
        register = super().command(*args, **options)

        def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(command)
            def blocking(*args: Any, **values: Any) -> None:
                run(command(*args, **values))

            register(blocking if inspect.iscoroutinefunction(command) else command)
            return command

        return decorate


@contextlib.asynccontextmanager
async def opened_store() -> AsyncIterator[Store]:
    """The store of the settings."""
    from triage.app.wiring.storage import open_store

    async with open_store(Settings()) as (store, _):
        yield store


def user_name() -> str:
    """The name of the operating system's user, `unknown` if there is none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def settings_with(**changes: Any) -> Settings:
    """The settings with those changes that are not None."""
    return Settings().model_copy(update={name: value for name, value in changes.items() if value is not None})


def environment_variable(field: str | int) -> str:
    """The environment variable of a setting. An alias already is one."""
    name = str(field)
    return name if name.isupper() else f"TRIAGE_{name.upper()}"


class Commands(TyperGroup):
    """Commands that end with the message of a `TriageError`. The exit code tells wrong input from failed work."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except TriageError as error:
            messages().print(f"[bold red]{escape(error.title)}[/bold red]: {escape(error.detail)}")
            raise typer.Exit(MISUSE if error.status < 500 else FAILURE) from error


class Watch:
    """Progress of named pieces of work: live bars on a terminal, lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            refresh_per_second=4,
        )
        self._tasks: dict[str, Any] = {}
        self._started: dict[str, float] = {}
        self._printed: dict[str, float] = {}

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` of `what` are done, with an optional note."""
        if not self._console.is_terminal:
            self._print(what, done, total, note)
            return
        if what not in self._tasks:
            self._tasks[what] = self._live.add_task(escape(what), total=total, note="")
        self._live.update(self._tasks[what], completed=done, total=total, note=escape(note))

    def _print(self, what: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        first = what not in self._started
        started = self._started.setdefault(what, now)
        if first and done < total:
            self._console.print(f"{escape(what)} ...")
            self._printed[what] = now
        elif done == total:
            self._console.print(f"{escape(what)}: done in {now - started:.1f} s")
        elif note and now - self._printed[what] >= _LINE_EVERY_S:
            self._console.print(f"{escape(what)}: {done} of {total}; {escape(note)}")
            self._printed[what] = now

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show one piece of work of unknown length."""
        self(what, 0, 1)
        yield
        self(what, 1, 1)

    @contextlib.contextmanager
    def showing(self) -> Iterator[Watch]:
        """Draw the bars until the end of the block, if this is a terminal."""
        with self._live if self._console.is_terminal else contextlib.nullcontext():
            yield self


def watching(*, quiet: bool = False) -> contextlib.AbstractContextManager[Watch]:
    """A `Watch` on standard error, shown until the end of the block."""
    return Watch(messages(quiet=quiet)).showing()


class Interrupt:
    """Whether Ctrl-C interrupted the work."""

    happened = False


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """End the block at the first Ctrl-C and record that, so that what is finished can be shown.

    A second Ctrl-C ends the process at once, even if threads are still working.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    interrupt = Interrupt()

    def first(_signal: int, _frame: FrameType | None) -> None:
        interrupt.happened = True
        signal.signal(signal.SIGINT, _end)
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    before: Any = signal.signal(signal.SIGINT, first)
    try:
        yield interrupt
    except asyncio.CancelledError:
        if not interrupt.happened or task is None:
            raise
        task.uncancel()
    finally:
        signal.signal(signal.SIGINT, _end if interrupt.happened else before)


def _end(_signal: int, _frame: FrameType | None) -> None:
    messages().show_cursor()
    os._exit(INTERRUPTED)
