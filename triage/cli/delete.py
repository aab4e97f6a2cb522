"""`triage delete`: incidents, with everything that is kept of them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import FAILURE, JSON_OPTION, messages, output, print_json, run, user_name


def delete(
    incident_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The incidents to delete.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Delete incidents with their triages, labels, vectors and jobs.

    A service that is running takes them out of its index within seconds. The audit log keeps that they were deleted.
    """
    ids = list(dict.fromkeys(incident_ids))
    if not yes:
        asked = f"Delete {len(ids)} incident(s) for good?" if len(ids) > 1 else f"Delete {ids[0]!r} for good?"
        typer.confirm(asked, abort=True, err=True)
    deleted, unknown = run(_delete(ids))
    if as_json:
        print_json({"deleted": deleted, "unknown": unknown})
    else:
        output().print(f"{len(deleted)} of {len(ids)} deleted.")
        for incident_id in unknown:
            messages().print(f"There is no incident {escape(incident_id)!r}.")
    if unknown:
        raise typer.Exit(FAILURE)


async def _delete(incident_ids: list[str]) -> tuple[list[str], list[str]]:
    """The ids that were deleted and those that don't exist. The index is updated later: a service may have it open."""
    from triage.app.wiring.storage import open_store
    from triage.domain.errors import NotFound
    from triage.server.jobs.workflows import forget_jobs

    settings = Settings()
    deleted, unknown = list[str](), list[str]()
    async with open_store(settings) as (store, _):
        for incident_id in incident_ids:
            try:
                await store.incidents.delete(incident_id, f"cli:{user_name()}")
            except NotFound:
                unknown.append(incident_id)
            else:
                deleted.append(incident_id)
    await forget_jobs(settings.queue_url, deleted)
    return deleted, unknown
