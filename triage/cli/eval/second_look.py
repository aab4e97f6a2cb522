"""`triage eval second-look`: what people say of the gold labels that look wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from triage.cli.eval.suspects import ROOT_OPTION, RUN_ARGUMENT
from triage.cli.terminal import JSON_OPTION, fail, output, plain_table, print_json
from triage.domain.errors import TriageError

if TYPE_CHECKING:
    from triage.evaluation.second_look_results import FacetSecondLook


def second_look(
    run: Annotated[str, RUN_ARGUMENT],
    labelled: Annotated[Path, typer.Argument(help="The exported file, with `labels` (and `annotator`) filled in.")],
    out: Annotated[Path, ROOT_OPTION] = Path("runs"),
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Tell what a blind second look found, and what kappa is worth with its labels."""
    from triage.domain.taxonomy import Taxonomy
    from triage.evaluation.archive import Archive
    from triage.evaluation.second_look import read_answers
    from triage.evaluation.second_look_results import evaluate

    try:
        finished = Archive(out).find(run)
        taxonomy = Taxonomy.load(finished.suite.taxonomy)
        found = evaluate(finished, taxonomy, read_answers(finished, taxonomy, labelled))
    except TriageError as error:
        fail(error)
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    for one in found:
        _print_second_look(one, output())


def _print_second_look(one: FacetSecondLook, console: Console) -> None:
    console.print(
        f"\n[bold]{escape(one.facet)}[/bold], {one.answered} cases looked at again, {one.unanswered} not answered, "
        f"{one.undecided} undecided"
    )
    table = plain_table()
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
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
