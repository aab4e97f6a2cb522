"""`triage taxonomy`: check a taxonomy file, compare two versions, bring annotations from one to the other."""

from __future__ import annotations

import typer

from triage.cli.taxonomy.check import check_file
from triage.cli.taxonomy.versions import diff, migrate_annotations

app = typer.Typer(help="Work with taxonomies.", no_args_is_help=True)
app.command()(diff)
app.command("migrate")(migrate_annotations)
app.command("check")(check_file)
