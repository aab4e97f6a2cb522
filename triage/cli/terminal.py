"""What every command shares: the two consoles, progress, and errors that say what to do."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import sys
import time
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.segment import Segment

from triage.domain.errors import TriageError
from triage.domain.principal import acting_as

T = TypeVar("T")

MISUSE, FAILURE, INTERRUPTED = 2, 1, 130
"""Exit codes beside 0: the command or its input is wrong; it could not be done; it was stopped by Ctrl-C."""

_LINE_EVERY_S = 30.0

# Characters that a terminal may take for orders, but for tab and line feed.
_ORDERS = dict.fromkeys({*range(0x20), *range(0x7F, 0xA0)} - {0x09, 0x0A})

JSON_OPTION = typer.Option("--json", help="Print JSON for programs.")


class SafeConsole(Console):
    """A console whose texts can't give the terminal orders (escape sequences): write-ups come from anybody."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is printed; of their texts, characters that are orders are left out."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else text.translate(_ORDERS), style, control)


def without_orders(text: str) -> str:
    """`text` with U+FFFD in place of each character that a terminal may take for an order; it stays as long."""
    return text.translate(dict.fromkeys(_ORDERS, "\ufffd"))


def output() -> Console:
    """Standard output: the result and nothing else. At least 100 columns where nobody's terminal sets the width."""
    return SafeConsole(width=None if sys.stdout.isatty() else 100, highlight=False, soft_wrap=False)


def messages(*, quiet: bool = False) -> Console:
    """Standard error: progress, notes and errors. `quiet`: nothing, where it is a log for programs."""
    return SafeConsole(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 100, quiet=quiet)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run the command's work; errors that users can act on end it with their message."""
    try:
        with acting_as(f"cli:{_user()}"):
            return asyncio.run(work)
    except TriageError as error:
        fail(error)
    except KeyboardInterrupt:
        messages().print("Stopped.")
        raise typer.Exit(INTERRUPTED) from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container's user may have no name.
        return "unknown"


def fail(error: TriageError) -> NoReturn:
    """Print the error and end: with `MISUSE` if the input is to blame, else with `FAILURE`."""
    messages().print(f"[bold red]{escape(error.title)}[/bold red]: {escape(error.detail)}")
    raise typer.Exit(MISUSE if error.status < 500 else FAILURE) from error


class Watch:
    """Progress of named pieces of work, live on a terminal and as lines elsewhere."""

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
        """Say that `done` of `total` of `what` are done, and what else there is to say of it."""
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

    def close(self) -> None:
        """Take the progress off the screen: something else is drawn there."""
        self._live.stop()

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show one piece of work of unknown length while it is done."""
        self(what, 0, 1)
        yield
        self(what, 1, 1)


@contextlib.contextmanager
def watching(*, quiet: bool = False) -> Iterator[Watch]:
    """A `Watch` on standard error that is shown until the end of the block."""
    watch = Watch(messages(quiet=quiet))
    with watch._live if watch._console.is_terminal else contextlib.nullcontext():  # noqa: SLF001
        yield watch
