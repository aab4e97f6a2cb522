"""The `triage` command: one verb per job."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from triage import __version__
from triage.cli import annotate, evaluate, index, keys, subscriptions, taxonomy, webhooks
from triage.cli.agreement import agreement
from triage.cli.backup import backup, restore
from triage.cli.calibrate import calibrate
from triage.cli.classify import classify
from triage.cli.delete import delete
from triage.cli.demo import demo
from triage.cli.doctor import doctor
from triage.cli.encryption import encrypt
from triage.cli.history import import_file, search
from triage.cli.live import live
from triage.cli.serve import serve
from triage.cli.spending import spending
from triage.cli.study import study
from triage.cli.worker import worker

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="LLM-assisted incident triage: labels with evidence, similar past incidents, mitigations that worked.",
)
app.command()(demo)
app.command()(serve)
app.command()(worker)
app.command()(classify)
app.command("import")(import_file)
app.command()(search)
app.command()(delete)
app.add_typer(annotate.app, name="annotate")
app.add_typer(index.app, name="index")
app.add_typer(evaluate.app, name="eval")
app.command()(agreement)
app.command()(study)
app.command()(calibrate)
app.command()(live)
app.command()(spending)
app.add_typer(taxonomy.app, name="taxonomy")
app.command()(backup)
app.command()(restore)
app.command()(encrypt)
app.add_typer(keys.app, name="keys")
app.command()(keys.audit)
app.add_typer(subscriptions.app, name="subscriptions")
app.add_typer(webhooks.app, name="webhooks")
app.command()(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"triage {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def main() -> None:
    """The entry point of the `triage` command."""
    try:
        app()
    except ValidationError as error:
        if error.title != "Settings":
            raise
        for one in error.errors():
            sys.stderr.write(f"The setting {'.'.join(map(str, one['loc']))} is not valid: {one['msg']}.\n")
        sys.exit(2)
