"""Gates and comparisons of runs, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from triage.evaluation.compare import Comparison
from triage.evaluation.gates import GateResult


def print_gates(gates: Sequence[GateResult], console: Console) -> None:
    """Print each gate with its result and the reason."""
    styles = {"passed": "bold green", "failed": "bold red", "inconclusive": "bold yellow"}
    for one in gates:
        console.print(f"\n[{styles[one.status]}]{one.status}[/]  [bold]{escape(one.gate)}[/bold]")
        console.print(f"  {escape(one.explanation)}")


def print_comparison(comparison: Comparison | None, console: Console, cases: int = 15) -> None:
    """Print what differs between two runs, and up to `cases` of the cases that changed."""
    if comparison is None:
        return
    console.print(f"\n[bold]{escape(comparison.other)}[/bold] against {escape(comparison.base)}")
    console.print(escape(comparison.verdict))
    left = [
        (comparison.only_base, "only in the base"),
        (comparison.only_other, "only in the other"),
        (comparison.gold_differs, "with another gold label"),
    ]
    if any(n for n, _ in left):
        console.print("Left out: " + ", ".join(f"{n} {what}" for n, what in left if n) + ".")
    if comparison.settings:
        console.print("Changed: " + escape("; ".join(comparison.settings)) + ".")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("metric", "base", "other", "difference [95%]", "cases needed"):
        table.add_column(heading, justify="left" if heading in {"metric", "difference [95%]"} else "right")
    for one in comparison.differences:
        style = ("green" if one.is_improvement else "red") if one.is_shown else ""
        mark = (" better" if one.is_improvement else " worse") if one.is_shown else ""
        figures = ["-" if value is None else f"{value:,.3f}" for value in (one.base, one.other)]
        needed = f"{one.needed:,}" if one.needed else "-"
        table.add_row(
            one.metric, *figures, f"[{style}]{escape(str(one))}{mark}[/]" if style else escape(str(one)), needed
        )
    console.print(table)
    for test in comparison.tests:
        console.print(
            f"{escape(test.facet)}: {test.only_base} right in the base alone, {test.only_other} in the other alone; "
            f"McNemar p = {test.p:.3f} ({test.p_holm:.3f} after Holm)"
        )
    if comparison.flips is not None:
        console.print(f"{comparison.flips:.1%} of the labels change between repeats of one run.")
    _print_changes(comparison, console, cases)


def _print_changes(comparison: Comparison, console: Console, cases: int) -> None:
    if not comparison.changes or not cases:
        return
    order = ("worse", "better", "otherwise wrong")
    counted = ", ".join(f"{sum(c.verdict == kind for c in comparison.changes)} {kind}" for kind in order)
    table = Table(box=None, padding=(0, 2, 0, 0), title=f"Cases that changed: {counted}", title_justify="left")
    for heading in ("case", "facet", "gold", "base", "other", ""):
        table.add_column(heading, overflow="fold")
    changes = sorted(comparison.changes, key=lambda change: order.index(change.verdict))
    for change in changes[:cases]:
        labels = [", ".join(one) for one in (change.gold, change.base, change.other)]
        table.add_row(*map(escape, (change.case_id, change.facet, *labels, change.verdict)))
    console.print(table)
    if len(changes) > cases:
        console.print(f"and {len(changes) - cases} more; --json has all")
