"""The `triage` command."""

from __future__ import annotations

import typer

from triage.cli import evaluate

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="LLM-assisted incident triage.")
app.add_typer(evaluate.app, name="eval")


def main() -> None:
    """The entry point of the `triage` command."""
    app()
