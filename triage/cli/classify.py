"""`triage classify`, `demo` and `search`: triage of write-ups, and the history searched by meaning."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import FAILURE, JSON_OPTION, messages, output, print_result, watching
from triage.domain.errors import InvalidInput
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy

_STDIN = Path("-")
_NAME = 50
_DEMO = (
    "openai-2023-11-08-router-memory",
    "github-copilot-2025-12-08-completion-flag",
    "github-copilot-2025-03-18-chat-store",
)
"""An engine out of resources, a misconfigured model, and an infrastructure failure."""

_NEXT = """
Start the service        make serve                      (or: triage serve)
Triage your own          triage classify FILE            (or paste it into: triage classify)
Use another model        TRIAGE_MODEL=gpt-5-mini OPENAI_API_KEY=...
...at any endpoint that  TRIAGE_MODEL=name TRIAGE_BASE_URL=http://host:port/v1
speaks OpenAI's API      then any of the commands above; `triage doctor` checks the settings
"""


async def classify(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Markdown, text, JSON or JSONL files; - or nothing: standard input.")
    ] = None,
    facets: Annotated[
        str | None, typer.Option(help="Ask for and show only these facets, such as category,failure_mode.")
    ] = None,
    as_of: Annotated[
        bool, typer.Option("--as-of-start", help="As each could have been triaged when it began: for back-testing.")
    ] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Triage write-ups from files or standard input. Nothing is stored.

    With --json every triage is one line of JSON. The exit code is 1 if any answer is degraded.
    """
    settings = Settings()
    # Read all files before starting the model, so that an error in the last one is reported at once.
    incidents = [incident for file in files or [_STDIN] for incident in _read(file, settings)]
    undated = next((incident for incident in incidents if as_of and incident.started_at is None), None)
    if undated is not None:
        raise InvalidInput(
            f"{_what(1, 1, undated)}: --as-of-start needs the incident's start: give it a started_at.",
            field="started_at",
        )
    asked = [name.strip() for name in (facets or "").split(",") if name.strip()]
    for name in asked:
        # Before the model starts.
        Taxonomy.load(settings.taxonomy).facet(name)
    degraded = await _triage_all(incidents, settings, as_json, as_of=as_of, facets=asked)
    if degraded:
        raise typer.Exit(FAILURE)


async def demo() -> None:
    """Triage three real incidents with the settings as they are: without any, with the local model."""
    from triage.evaluation.datasets import shipped_history

    settings = Settings()
    if settings.taxonomy != "llm_inference":
        raise InvalidInput("The demo's incidents are of LLM services: unset TRIAGE_TAXONOMY.", field="taxonomy")
    shipped = {incident.id: incident for incident, _ in shipped_history()}
    console = messages()
    console.print(
        "Three public incidents of LLM services are triaged. They stand in the shipped history; each is left out of it "
        "while it is triaged itself.\n"
    )
    await _triage_all([shipped[incident_id] for incident_id in _DEMO], settings, as_json=False)
    console.print(_NEXT)


def _read(file: Path, settings: Settings) -> tuple[Incident, ...]:
    from triage.intake.write_ups import read_file, read_stream

    if file == _STDIN:
        if sys.stdin.isatty():
            messages().print("Type or paste the write-up; end with Ctrl-D on a line of its own.")
        reading = read_stream(sys.stdin.buffer.read(), settings.max_write_up_bytes)
    else:
        reading = read_file(file, settings.max_write_up_bytes)
    if reading.ignored:
        messages().print(f"{escape(str(file))}: not used: {escape(', '.join(reading.ignored))}.")
    return reading.incidents


async def _triage_all(
    incidents: Sequence[Incident],
    settings: Settings,
    as_json: bool,
    *,
    as_of: bool = False,
    facets: Collection[str] = (),
) -> int:
    """Triage and print each incident, with these facets or all. Returns the number of degraded answers."""
    from triage.app.wiring.components import open_components
    from triage.cli.rendering import print_triage

    degraded = 0
    with watching() as progress:
        async with open_components(settings, progress, facets=facets) as components:
            for number, incident in enumerate(incidents, start=1):
                with progress.step(_what(number, len(incidents), incident)):
                    moment = incident.started_at if as_of else None
                    triage, _ = await components.pipeline.run(incident, as_of=moment)
                degraded += triage.degraded
                if facets:
                    shown = {name: result for name, result in triage.facets.items() if name in facets}
                    triage = triage.model_copy(update={"facets": shown})
                if as_json:
                    sys.stdout.write(triage.model_dump_json() + "\n")
                    sys.stdout.flush()
                else:
                    print_triage(incident, triage, components.taxonomy, output())
    return degraded


def _what(number: int, total: int, incident: Incident) -> str:
    name = incident.title or " ".join(incident.write_up.split())
    return f"Triaging {number} of {total}: {name if len(name) <= _NAME else name[: _NAME - 1] + '…'}"


async def search(
    text: Annotated[str, typer.Argument(help="What to look for, in any words.")],
    k: Annotated[int, typer.Option("-k", min=1, max=50, help="How many incidents.")] = 5,
    as_of: Annotated[datetime | None, typer.Option(help="Only incidents that began before; in UTC.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Search the history by meaning."""
    from triage.app.wiring.storage import open_records
    from triage.cli.rendering import print_neighbours

    if not any(character.isalnum() for character in text):
        raise InvalidInput("There is no word to look for.", field="text")
    with watching() as progress:
        async with open_records(Settings(), progress) as records:
            found = await records.casebook.search(text, k, as_of and as_of.replace(tzinfo=UTC))
    taxonomy = records.casebook.taxonomy
    print_result(found, as_json, lambda found, console: print_neighbours(found, taxonomy, console))
