"""The report of a run in the terminal: scores, gates and comparisons."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from triage.agreement import Confusion, LabelScore, SetAgreement
from triage.evaluation.compare import Comparison
from triage.evaluation.gates import GateResult
from triage.evaluation.metrics import ABSTAINED
from triage.evaluation.summary import ABSTENTIONS, FacetSummary, Summary
from triage.render.quantities import percent

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SHOWN_FAILURES = 5


def print_report(summary: Summary, console: Console) -> None:
    """Print the figures of a run, laid out for 100 columns and readable in 80."""
    console.print(f"\n[bold]{escape(summary.suite)}[/bold]  {escape(summary.description.strip())}")
    console.print(_counts(summary))
    console.print("\nAgreement with the gold labels:")
    console.print(_overview(summary))
    if any(facet.abstained for facet in summary.facets):
        console.print(ABSTENTIONS)
    for facet in summary.facets:
        _print_facet(facet, console)
    _print_troubles(summary, console)


def _counts(summary: Summary) -> Text:
    parts = [f"{summary.done} of {summary.planned} cases done"]
    if summary.resumed:
        parts.append(f"{summary.resumed} of them in an earlier session")
    text = Text(", ".join(parts))
    for n, word, style in (
        (summary.failed, "failed", "bold red"),
        (summary.degraded, "degraded", "bold yellow"),
        (summary.skipped, "skipped without a gold label", ""),
        (summary.left_out, "left out by the suite", ""),
        (summary.repeats, "repeated rows", ""),
    ):
        if n or style:
            text.append(f", {n} {word}", style=style if n else "")
    if summary.median_seconds is not None and summary.p95_seconds is not None:
        text.append(f"\n{summary.median_seconds:.1f} s a case (median), {summary.p95_seconds:.1f} s (95th percentile)")
        text.append(f"; {summary.prompt_tokens:,} prompt and {summary.completion_tokens:,} completion tokens")
        text.append(f"\n{summary.model_calls:,} model calls, {summary.retries:,} retries")
        if summary.cached_calls:
            text.append(f", {summary.cached_calls:,} of the calls answered from the cache")
        if summary.dropped_quotes:
            text.append(f"; {summary.dropped_quotes} quotes dropped, not in the text")
    return text


def _grid(*headings: str, left: Collection[str] = (), whole: Collection[str] = (), gap: int = 2) -> Table:
    """A table without lines. Columns are aligned right, except those named in `left`; those in `whole` don't wrap."""
    table = Table(box=None, padding=(0, gap, 0, 0))
    for heading in headings:
        table.add_column(
            heading, justify="left" if heading in left else "right", overflow="fold", no_wrap=heading in whole
        )
    return table


def _overview(summary: Summary) -> Table:
    has_sets = any(facet.sets is not None for facet in summary.facets)
    figures = ("kappa [95%]", "answered [95%]", *(["Jaccard [95%]"] if has_sets else ()))
    words = ("facet", *figures, "most common")
    table = _grid("facet", "n", figures[0], "coverage", *figures[1:], "most common", left=words, whole=figures)
    for facet in summary.facets:
        kappa = str(facet.kappa) if facet.kappa is not None else "by label below"
        common = f"{facet.most_common[0]} {facet.most_common[1]:.0%}" if facet.most_common else "-"
        overlap = [str(facet.sets) if facet.sets is not None else "-"] if has_sets else []
        answered = str(facet.answered) if facet.answered is not None else "-"
        coverage = percent(facet.coverage) or "-"
        table.add_row(facet.facet, str(facet.n), kappa, coverage, answered, *overlap, common)
    return table


def _print_facet(facet: FacetSummary, console: Console) -> None:
    console.print(f"\n[bold]{escape(facet.facet)}[/bold] ({facet.cardinality.replace('_', ' ')})")
    if facet.kappa is not None:
        console.print(facet.kappa.explain())
    if facet.abstained and facet.answered is not None:
        console.print(
            f"It abstained on {facet.abstained}. Where it answered ({facet.n - facet.abstained} cases): accuracy "
            f"{_figure(facet.answered_accuracy)}, kappa {facet.answered}"
        )
    if facet.unlabelled:
        console.print(f"{facet.unlabelled} case(s) have no gold label for this facet.")
    if facet.cardinality == "multi" and facet.sets is not None:
        console.print(_set_scores(facet.sets))
    elif facet.confusion is not None and facet.n:
        console.print(_scores(facet.labels))
        console.print("\nConfusion, gold in rows and predicted in columns:")
        console.print(_matrix(facet.confusion))


_SCORES = ("label", "precision", "recall", "F1", "support", "predicted")


def _scores(scores: Iterable[LabelScore]) -> Table:
    table = _grid(*_SCORES, left=("label",))
    for score in scores:
        if score.support or score.predicted:
            table.add_row(*_score_cells(score))
    return table


def _set_scores(sets: SetAgreement) -> Table:
    kappa = "kappa [95% interval]"
    table = _grid(*_SCORES, kappa, left=("label", kappa))
    for one in sets.labels:
        if one.score.support or one.score.predicted:
            table.add_row(*_score_cells(one.score), str(one.kappa) if one.kappa.value is not None else "-")
    table.caption = f"mean kappa over labels {_figure(sets.mean_kappa)}, equal sets {_figure(sets.exact)}"
    table.caption_justify = "left"
    return table


def _score_cells(score: LabelScore) -> list[str]:
    figures = [_figure(value) for value in (score.precision, score.recall, score.f1)]
    return [score.label, *figures, str(score.support), str(score.predicted)]


def _matrix(confusion: Confusion) -> Table:
    """The matrix with one letter per column, so that thirty labels fit into 100 columns."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("")
    letters = [_LETTERS[i] if i < len(_LETTERS) else str(i) for i in range(len(confusion.labels))]
    for letter in letters:
        table.add_column(letter, justify="right", no_wrap=True)
    for i, (letter, label, row) in enumerate(zip(letters, confusion.labels, confusion.counts, strict=True)):
        if any(row):
            cells = [
                Text(str(n), style="bold green" if i == j else "") if n else Text("·", "dim") for j, n in enumerate(row)
            ]
            table.add_row(f"{letter} {label}", *cells)
        else:
            note = "" if label == ABSTAINED else " (never gold)"
            table.add_row(Text(f"{letter} {label}{note}", style="dim"), *[Text("·", "dim")] * len(letters))
    return table


def _print_troubles(summary: Summary, console: Console) -> None:
    for reason, n in summary.degraded_reasons.items():
        console.print(f"[yellow]{n} case(s) degraded:[/yellow] {escape(reason)}")
    for case_id, error in list(summary.failures.items())[:_SHOWN_FAILURES]:
        console.print(f"[red]{escape(case_id)} failed:[/red] {escape(error)}")
    if len(summary.failures) > _SHOWN_FAILURES:
        console.print(f"and {len(summary.failures) - _SHOWN_FAILURES} more; all are in summary.json")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


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
    words = ("metric", "difference [95%]")
    table = _grid("metric", "base", "other", "difference [95%]", "cases needed", left=words)
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
