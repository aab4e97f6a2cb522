"""`triage search`: the history searched by meaning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, output, print_json, run, watching

if TYPE_CHECKING:
    from triage.domain.triage_result import Neighbour


def search(
    text: Annotated[str, typer.Argument(help="What to look for, in any words.")],
    k: Annotated[int, typer.Option("-k", min=1, max=50, help="How many incidents.")] = 5,
    as_of: Annotated[datetime | None, typer.Option(help="Only incidents that began before; in UTC.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Search the history by meaning."""
    from triage.cli.rendering import print_neighbours
    from triage.domain.taxonomy import Taxonomy

    found = run(_search(text, k, as_of and as_of.replace(tzinfo=UTC)))
    if as_json:
        print_json(found)
    else:
        print_neighbours(found, Taxonomy.load(Settings().taxonomy), output())


async def _search(text: str, k: int, as_of: datetime | None) -> list[Neighbour]:
    from triage.app.wiring.storage import open_records
    from triage.domain.errors import InvalidInput

    if not any(c.isalnum() for c in text):
        raise InvalidInput("There is no word to look for.", field="text")
    with watching() as progress:
        async with open_records(Settings(), progress) as records:
            return await records.casebook.search(text, k, as_of)
