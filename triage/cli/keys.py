"""`triage keys` and `audit`: who may use the service, and who changed what."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, App, messages, output, plain_table, print_json
from triage.domain.errors import InvalidInput

if TYPE_CHECKING:
    from triage.server.api.keys import NewKey
    from triage.store import Store
    from triage.store.keys import Key, MadeKey

app = App(help="Keys for the HTTP service, and for what it keeps.", no_args_is_help=True)


@app.command()
async def create(
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
    new = _checked(
        name=name,
        scopes=scope or ["read", "triage"],
        teams=team or None,
        expires_at=None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days),
        requests_per_minute=requests_per_minute,
    )
    async with _opened() as store:
        made = await store.keys.create(
            new.name, new.scopes, new.teams, expires_at=new.expires_at, requests_per_minute=new.requests_per_minute
        )
    _print_made(made, as_json)


@app.command("list")
async def list_keys(as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """List the keys, without their texts."""
    async with _opened() as store:
        keys = await store.keys.list()
    if as_json:
        print_json(keys)
        return
    table = plain_table("id", "name", "scopes", "teams", "last used", "state")
    for key in keys:
        teams = "all" if key.teams is None else ", ".join(key.teams)
        cells = (key.id, key.name, ", ".join(key.scopes), teams, _as_minute(key.last_used_at) or "never", _state(key))
        table.add_row(*map(escape, cells))
    output().print(table if keys else "There is no key. `triage keys create NAME` makes one.")


@app.command()
async def rotate(
    key_id: Annotated[str, typer.Argument(help="See `triage keys list`.")],
    grace_hours: Annotated[float, typer.Option(min=0, max=720, help="The text before opens for so long.")] = 24,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Give a key a new text, which is printed once."""
    async with _opened() as store:
        made = await store.keys.rotate(key_id, grace_hours * 3600)
    _print_made(made, as_json)


@app.command()
async def revoke(key_id: Annotated[str, typer.Argument(help="See `triage keys list`.")]) -> None:
    """End a key for good: within seconds it opens nothing, in any process."""
    async with _opened() as store:
        key = await store.keys.revoke(key_id)
    output().print(f"Key {key.id} ({escape(key.name)}) is revoked.")


@app.command()
def encryption() -> None:
    """Print a new key for TRIAGE_ENCRYPTION_KEYS, with which texts are sealed at rest. It is kept nowhere."""
    from cryptography.fernet import Fernet

    typer.echo(Fernet.generate_key().decode())


async def audit(
    incident: Annotated[str | None, typer.Option(help="Only changes to this incident.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 50,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show who changed what, newest first: labels, deletions, keys."""
    async with _opened() as store:
        page = await store.audit.list(limit, incident_id=incident)
    if as_json:
        print_json(page.entries)
        return
    table = plain_table("when (UTC)", "who", "what", "incident", "details")
    for entry in page.entries:
        given = {name: value for name, value in entry.details.items() if value is not None}
        details = ", ".join(
            f"{name}: {'+'.join(map(str, value)) if isinstance(value, list) else value}"
            for name, value in given.items()
        )
        when = _as_minute(entry.created_at)
        table.add_row(*map(escape, (when, entry.actor, entry.action, entry.incident_id or "", details)))
    output().print(table)


def _print_made(made: MadeKey, as_json: bool) -> None:
    if as_json:
        print_json({"key": made.key, "text": made.text})
        return
    messages().print(f"Key {made.key.id} ({escape(made.key.name)}). Keep its text now, it is not shown again:")
    typer.echo(made.text)


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return f"revoked {_as_minute(key.revoked_at)}"
    if key.is_expired(datetime.now(UTC)):
        return f"expired {_as_minute(key.expires_at)}"
    return "opens" if key.expires_at is None else f"opens until {_as_minute(key.expires_at)}"


def _as_minute(moment: datetime | None) -> str:
    """The date and time to the minute; empty for None."""
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


@contextlib.asynccontextmanager
async def _opened() -> AsyncIterator[Store]:
    """The store without encryption and taxonomy: keys can be made before either is set up."""
    from triage.app.wiring.storage import make_data_folder
    from triage.store import Store, upgrade

    settings = Settings()
    make_data_folder(settings)
    await upgrade(settings.sql_url)
    store = Store(settings.sql_url)
    try:
        yield store
    finally:
        await store.close()


def _checked(**fields: Any) -> NewKey:
    from pydantic import ValidationError

    from triage.server.api.keys import NewKey

    try:
        return NewKey.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{first['loc'][0]}: {first['msg']}.", field=str(first["loc"][0])) from error
