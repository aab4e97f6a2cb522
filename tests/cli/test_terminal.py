from __future__ import annotations

import io

import pytest
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from triage.cli.terminal import SafeConsole, output, without_control

ORDERS = "before\x1b]52;c;ZWNobw==\x07\x1b[2J\x9b31m\x7fafter\nline\ttab"


@pytest.mark.parametrize("place", ["markup", "text", "title", "cell"])
def test_what_others_wrote_gives_a_terminal_no_orders(place: str) -> None:
    table = Table("column")
    table.add_row(ORDERS)
    shown = {
        "markup": escape(ORDERS),
        "text": Text(ORDERS),
        "title": Panel("", title=escape(ORDERS)),
        "cell": table,
    }[place]
    console = SafeConsole(file=io.StringIO(), width=120)
    console.print(shown)
    told = console.file.getvalue()  # type: ignore[attr-defined]

    assert "before" in told
    assert "after" in told
    assert not {c for c in told if not c.isprintable()} - {"\n", "\t"}


def test_styles_still_reach_a_terminal() -> None:
    console = SafeConsole(file=io.StringIO(), width=120, force_terminal=True, color_system="standard")
    console.print("[bold]x[/bold]")

    assert console.file.getvalue() == "\x1b[1mx\x1b[0m\n"  # type: ignore[attr-defined]


def test_every_command_writes_through_it(capsys: pytest.CaptureFixture[str]) -> None:
    output().print(escape(ORDERS))

    assert "\x1b" not in capsys.readouterr().out


def test_a_text_without_control_stays_as_long() -> None:
    assert without_control(ORDERS) == "before�]52;c;ZWNobw==��[2J�31m�after\nline\ttab"
