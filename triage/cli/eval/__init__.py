"""`triage eval`: labels scored against gold labels."""

from __future__ import annotations

import typer

from triage.cli.eval.codebook import codebook
from triage.cli.eval.compare import compare
from triage.cli.eval.export import export
from triage.cli.eval.gate import gate
from triage.cli.eval.list import list_runs
from triage.cli.eval.run import run_suite
from triage.cli.eval.second_look import second_look
from triage.cli.eval.show import show
from triage.cli.eval.suspects import suspects
from triage.cli.eval.tag import tag

app = typer.Typer(help="Score the labels against gold labels.", no_args_is_help=True)
app.command("list")(list_runs)
app.command()(show)
app.command()(compare)
app.command()(gate)
app.command()(export)
app.command()(tag)
app.command()(suspects)
app.command("second-look")(second_look)
app.command()(codebook)
app.command("run")(run_suite)
