"""`triage eval suspects` and `second-look`: gold labels that look wrong, and what people say of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from triage.cli.terminal import JSON_OPTION, messages, plain_table, print_result

if TYPE_CHECKING:
    from triage.evaluation.second_look import FacetSecondLook
    from triage.evaluation.suspects import FacetSuspects, Suspect, WhatIf

RUN_ARGUMENT = typer.Argument(help="The run: its folder, name, tag, or `latest`.")
ROOT_OPTION = typer.Option(help="Runs are looked for below this folder.")
DATA_OPTION = typer.Option(help="The labelled data, if it is not where the run read it.")


def suspects(
    run: Annotated[str, RUN_ARGUMENT],
    export: Annotated[
        Path | None, typer.Option(help="Write the suspects and as many other cases to this file, to be labelled anew.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Show so many suspects a facet.")] = 20,
    self_confidence: Annotated[
        bool, typer.Option("--self-confidence", help="Rank by the gold label's probability alone.")
    ] = False,
    most: Annotated[int | None, typer.Option(min=1, help="Export a sample of so many suspects a facet.")] = None,
    twice: Annotated[int, typer.Option(min=0, help="Export so many items twice, to see how steady people are.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the export's sample and order.")] = 0,
    data: Annotated[Path | None, DATA_OPTION] = None,
    out: Annotated[Path, ROOT_OPTION] = Path("runs"),
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Rank the gold labels that look wrong (confident learning), and estimate how many there are.

    With --export the suspects are mixed with as many other cases, without gold and prediction, for people to label:
    `triage eval second-look` then tells what they found.
    """
    from triage.domain.taxonomy import Taxonomy
    from triage.evaluation.archive import Archive
    from triage.evaluation.runs import cases_of
    from triage.evaluation.second_look import export as write
    from triage.evaluation.suspects import find_suspects

    finished = Archive(out).find(run)
    taxonomy = Taxonomy.load(finished.suite.taxonomy)
    found = find_suspects(finished, taxonomy, rank="self_confidence" if self_confidence else "margin")
    if export is not None:
        cases = cases_of(finished, taxonomy, data)
        key = write(finished, taxonomy, found, cases, export, most=most, twice=twice, seed=seed)
    print_result(found, as_json, lambda found, console: _print_suspects(found, top, console))
    if export is not None:
        messages().print(
            f"\n{len(key.items)} items written to {escape(str(export))}, their key kept with the run. Have `labels` "
            f"filled in, then: triage eval second-look {escape(run)} {escape(str(export))}",
            soft_wrap=True,
        )


def second_look(
    run: Annotated[str, RUN_ARGUMENT],
    labelled: Annotated[Path, typer.Argument(help="The exported file, with `labels` (and `annotator`) filled in.")],
    out: Annotated[Path, ROOT_OPTION] = Path("runs"),
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Tell what a blind second look found, and what kappa is worth with its labels."""
    from triage.domain.taxonomy import Taxonomy
    from triage.evaluation.archive import Archive
    from triage.evaluation.second_look import evaluate, read_answers

    finished = Archive(out).find(run)
    taxonomy = Taxonomy.load(finished.suite.taxonomy)
    found = evaluate(finished, taxonomy, read_answers(finished, taxonomy, labelled))
    print_result(found, as_json, _print_second_looks)


def _print_suspects(found: Sequence[FacetSuspects], top: int, console: Console) -> None:
    for one in found:
        console.print(f"\n[bold]{escape(one.facet)}[/bold], {one.n} cases, probabilities {one.probabilities}")
        if one.undefined is not None or one.share is None or one.share_without_errors is None:
            console.print(f"No estimate: {escape(one.undefined or 'there is nothing to compare')}.")
            continue
        interval = f" [{one.interval.low:.1%}, {one.interval.high:.1%}]" if one.interval else ""
        console.print(f"Estimated share of wrong labels: {one.share:.1%}{escape(interval)}.")
        shows_errors = one.interval is not None and one.interval.low > one.share_without_errors
        console.print(
            f"Of labels without any error the same estimate would say {one.share_without_errors:.1%}, as the "
            "probabilities are unsure: "
            + ("what is above that speaks for errors." if shows_errors else "so it shows no errors by itself.")
        )
        if one.suspects:
            console.print(_table(one.suspects[:top]))
        if len(one.suspects) > top:
            console.print(f"and {len(one.suspects) - top} more: --top, or --json for all")
        if one.what_if is not None and one.suspects:
            _print_what_if(one.what_if, console)
    console.print(
        "\nWords, embedding and neighbours learn from other cases' gold labels, model and definitions from none. Only "
        "people who see neither can tell which labels are wrong: --export FILE."
    )


def _table(ranked: Sequence[Suspect]) -> Table:
    table = plain_table("case", "gold", "suggested", "against gold")
    for one in ranked:
        against = f"{len(one.against)} of {one.sources}" + (f": {', '.join(one.against)}" if one.against else "")
        table.add_row(one.case_id, f"{one.given} {one.p_given:.2f}", f"{one.suggested} {one.p_suggested:.2f}", against)
    return table


def _print_what_if(what_if: WhatIf, console: Console) -> None:
    band = ""
    if what_if.random_low is not None and what_if.random_high is not None:
        band = f" (95% of the draws in [{what_if.random_low:.2f}, {what_if.random_high:.2f}])"
    console.print(
        f"What if: kappa {_figure(what_if.kappa)} on all cases; {_figure(what_if.without_suspects)} without the "
        f"{what_if.dropped} suspected ones; {_figure(what_if.random)} without as many random ones{escape(band)}.\n"
        "Dropping what the model disagrees with always raises kappa, whoever is wrong: this is no result. A corrected "
        "kappa comes from a blind second look alone."
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _print_second_looks(results: Sequence[FacetSecondLook], console: Console) -> None:
    for result in results:
        _print_second_look(result, console)


def _print_second_look(one: FacetSecondLook, console: Console) -> None:
    console.print(
        f"\n[bold]{escape(one.facet)}[/bold], {one.answered} cases looked at again, {one.unanswered} not answered, "
        f"{one.undecided} undecided"
    )
    table = plain_table(Column(overflow="fold"), Column(no_wrap=True))
    wrong = "-" if one.wrong is None else f"{one.wrong:.1%}"
    if one.wrong_interval is not None:
        wrong += f" [{one.wrong_interval[0]:.1%}, {one.wrong_interval[1]:.1%}]"
    for name, value in (
        (f"gold contradicted among the suspects (n = {one.suspects.n})", str(one.suspects)),
        ("  of these, as was suggested", str(one.as_suggested)),
        (f"gold contradicted among the controls (n = {one.controls.n})", str(one.controls)),
        ("so much of all gold labels would be contradicted", wrong),
        (f"kappa of the run against gold as it was (n = {one.kappa_gold.n})", str(one.kappa_gold)),
        ("  with what was contradicted replaced", str(one.kappa_replaced)),
        (f"  without it (n = {one.kappa_without.n})", str(one.kappa_without)),
        (f"kappa of the run against the second look (n = {one.kappa_second_look.n})", str(one.kappa_second_look)),
        ("kappa of the second look against gold: people's ceiling", str(one.human)),
    ):
        table.add_row(name, escape(value))
    for pair in one.between:
        table.add_row(f"kappa of {escape(pair.a)} and {escape(pair.b)} (n = {pair.n})", escape(str(pair.kappa)))
    for pair in one.within:
        table.add_row(f"kappa of {escape(pair.a)} with themselves (n = {pair.n})", escape(str(pair.kappa)))
    console.print(table)
    console.print(
        "The kappas against the second look weigh suspects and controls as they stand in the run; the one with labels "
        "replaced flatters the run, since it was looked at where it disagreed."
    )
