"""`triage annotate`: several people label incidents, disagree, and settle it."""

from __future__ import annotations

from triage.cli.annotate.adjudication import adjudicate, history
from triage.cli.annotate.assignment import assign, status
from triage.cli.annotate.label_files import export_file, import_file
from triage.cli.annotate.preview import preview
from triage.cli.terminal import App

app = App(
    help="Have several annotators label incidents. They label on the page /label of a running service, and settle "
    "disagreements on /label/adjudicate.",
    no_args_is_help=True,
)
app.command()(assign)
app.command()(preview)
app.command()(adjudicate)
app.command()(history)
app.command()(status)
app.command("import")(import_file)
app.command("export")(export_file)
