"""`triage keys` and `triage audit`: who may use the service, and who changed what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, messages, output, print_json, run

if TYPE_CHECKING:
    from triage.store import Store
    from triage.store.audit import AuditPage
    from triage.store.keys import Key, MadeKey

app = typer.Typer(help="Keys for the HTTP service, and for what it keeps.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for; it stands in the audit log.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="read, triage, annotate or admin; again for more. Default: read, triage.")
    ] = None,
    team: Annotated[list[str] | None, typer.Option(help="Limit it to this team; again for more.")] = None,
    expires_days: Annotated[float | None, typer.Option(min=0.001, help="It opens for so many days.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1, help="A limit of its own.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Make a key. Its text is printed once, and can't be had again."""
    expires_at = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
    _print_made(run(_create(name, scope, team, expires_at, requests_per_minute)), as_json)


@app.command("list")
def list_keys(as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """List the keys, without their texts."""
    keys = run(_list())
    if as_json:
        print_json([key.model_dump(mode="json") for key in keys])
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("id", "name", "scopes", "teams", "last used", "state"):
        table.add_column(heading, overflow="fold")
    for key in keys:
        teams = "all" if key.teams is None else ", ".join(key.teams)
        cells = (key.id, key.name, ", ".join(key.scopes), teams, _moment(key.last_used_at) or "never", _state(key))
        table.add_row(*map(escape, cells))
    output().print(table if keys else "There is no key. `triage keys create NAME` makes one.")


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(help="See `triage keys list`.")],
    grace_hours: Annotated[float, typer.Option(min=0, max=720, help="The text before opens for so long.")] = 24,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Give a key a new text, which is printed once."""
    _print_made(run(_rotate(key_id, grace_hours * 3600)), as_json)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="See `triage keys list`.")]) -> None:
    """End a key for good: within seconds it opens nothing, in any process."""
    key = run(_revoke(key_id))
    output().print(f"Key {key.id} ({escape(key.name)}) is revoked.")


@app.command()
def encryption() -> None:
    """Print a new key for TRIAGE_ENCRYPTION_KEYS, with which texts are sealed at rest. It is kept nowhere."""
    from cryptography.fernet import Fernet

    typer.echo(Fernet.generate_key().decode())


def audit(
    incident: Annotated[str | None, typer.Option(help="Only changes to this incident.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 50,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show who changed what, newest first: labels, deletions, keys."""
    page = run(_audit(incident, limit))
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in page.entries])
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("when (UTC)", "who", "what", "incident", "details"):
        table.add_column(heading, overflow="fold")
    for entry in page.entries:
        details = ", ".join(f"{name}: {_plain(value)}" for name, value in entry.details.items() if value is not None)
        when = _moment(entry.created_at)
        table.add_row(*map(escape, (when, entry.actor, entry.action, entry.incident_id or "", details)))
    output().print(table)


def _print_made(made: MadeKey, as_json: bool) -> None:
    if as_json:
        print_json({"key": made.key.model_dump(mode="json"), "text": made.text})
        return
    messages().print(f"Key {made.key.id} ({escape(made.key.name)}). Keep its text now, it is not shown again:")
    typer.echo(made.text)


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return f"revoked {_moment(key.revoked_at)}"
    if key.is_expired(datetime.now(UTC)):
        return f"expired {_moment(key.expires_at)}"
    return "opens" if key.expires_at is None else f"opens until {_moment(key.expires_at)}"


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _plain(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


@asynccontextmanager
async def _store() -> AsyncIterator[Store]:
    from triage.app.wiring import make_data_folder
    from triage.store import Store, upgrade

    settings = Settings()
    make_data_folder(settings)
    await upgrade(settings.sql_url)
    store = Store(settings.sql_url)
    try:
        yield store
    finally:
        await store.close()


async def _create(
    name: str,
    scopes: list[str] | None,
    teams: list[str] | None,
    expires_at: datetime | None,
    requests_per_minute: int | None,
) -> MadeKey:
    from pydantic import ValidationError

    from triage.domain.errors import InvalidInput
    from triage.server.api.keys import NewKey

    try:
        new = NewKey.model_validate(
            {
                "name": name,
                "scopes": scopes or ["read", "triage"],
                "teams": teams or None,
                "expires_at": expires_at,
                "requests_per_minute": requests_per_minute,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{first['loc'][0]}: {first['msg']}.", field=str(first["loc"][0])) from error
    async with _store() as store:
        return await store.keys.create(
            new.name, new.scopes, new.teams, expires_at=new.expires_at, requests_per_minute=new.requests_per_minute
        )


async def _list() -> Sequence[Key]:
    async with _store() as store:
        return await store.keys.list()


async def _rotate(key_id: str, grace_s: float) -> MadeKey:
    async with _store() as store:
        return await store.keys.rotate(key_id, grace_s)


async def _revoke(key_id: str) -> Key:
    async with _store() as store:
        return await store.keys.revoke(key_id)


async def _audit(incident: str | None, limit: int) -> AuditPage:
    async with _store() as store:
        return await store.audit.list(limit, incident_id=incident)
