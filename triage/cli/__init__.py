"""The `triage` command: one verb per job."""

from __future__ import annotations

import os
import re
import sys
from types import ModuleType
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from triage import __version__
from triage.cli import annotate, index, keys, subscriptions, taxonomy, webhooks
from triage.cli import eval as evaluate
from triage.cli.agreement import agreement, live
from triage.cli.calibrate import calibrate
from triage.cli.classify import classify, demo, search
from triage.cli.doctor import doctor
from triage.cli.import_history import import_file
from triage.cli.keys import audit
from triage.cli.past_incidents import automation, ledger, summary
from triage.cli.radar import radar
from triage.cli.serve import serve, spending, worker
from triage.cli.stored_data import backup, delete, encrypt, restore
from triage.cli.study import checklist, study
from triage.cli.terminal import App, Commands, environment_variable

app = App(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="LLM-assisted incident triage: labels with evidence, similar past incidents, mitigations that worked.",
)
_PANELS = {
    "Triage": (demo, classify, search, doctor),
    "Labels, agreement and suites": (annotate, agreement, calibrate, evaluate, live, taxonomy),
    "What past incidents tell": (summary, study, ledger, automation, radar, checklist),
    "A service": (serve, worker, spending, keys, audit, subscriptions, webhooks),
    "What is kept": (import_file, delete, index, backup, restore, encrypt),
}
_NAMES: dict[Any, str] = {import_file: "import"}

for panel, commands in _PANELS.items():
    for command in commands:
        if isinstance(command, ModuleType):
            name = _NAMES.get(command, command.__name__.rpartition(".")[2])
            app.add_typer(command.app, name=name, rich_help_panel=panel)
        else:
            app.command(_NAMES.get(command), rich_help_panel=panel)(command)


def _print_version(is_requested: bool) -> None:
    if is_requested:
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
    # The matrices are small: a second thread gains nothing, and on a busy machine it makes fitting a calibrator ten
    # times slower. The variable is read when numpy is imported, which nothing above does.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except ValidationError as error:
        if error.title != "Settings":
            raise
        for problem in error.errors():
            name = environment_variable(problem["loc"][0] if problem["loc"] else "")
            sys.stderr.write(f"The setting {name} is not valid: {problem['msg']}.\n")
        sys.exit(2)
    except SettingsError as error:
        # The message quotes the field but not the value, so only the field can be named.
        named = re.search(r'field "(\w+)"', str(error))
        name = environment_variable(named.group(1)) if named else "from the environment"
        sys.stderr.write(f'The setting {name} is not valid: give a list as JSON, such as ["one", "two"].\n')
        sys.exit(2)
