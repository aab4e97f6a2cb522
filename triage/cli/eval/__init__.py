"""`triage eval`: labels scored against gold labels."""

from __future__ import annotations

from triage.cli.eval.codebook import codebook
from triage.cli.eval.reports import compare, export, gate, list_runs, show, tag
from triage.cli.eval.run import run_suite
from triage.cli.eval.suspects import second_look, suspects
from triage.cli.terminal import App

app = App(help="Score the labels against gold labels.", no_args_is_help=True)
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
