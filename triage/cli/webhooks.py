"""`triage webhooks`: webhooks in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, messages, output, plain_table, print_json, run_with_store
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.principal import DEFAULT_TEAM
from triage.intake.webhooks import PROVIDERS

if TYPE_CHECKING:
    from triage.store import Store, WebhookSource

app = typer.Typer(no_args_is_help=True, help="Who may send incidents: webhooks in.")

_ID = typer.Argument(help="The source's id.")


@app.command()
def add(
    kind: Annotated[str, typer.Argument(help=f"Who sends: {', '.join(PROVIDERS)}.")],
    team: Annotated[str, typer.Option(help="Whose incidents they are.")] = DEFAULT_TEAM,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Let a tool send incidents. Prints the URL to send to and the secret to sign with, this once."""
    settings = Settings()
    source, secret = run_with_store(lambda store: _add(store, kind, team))
    url = f"{_base(settings)}/v1/webhooks/{source.id}"
    if as_json:
        print_json(source.model_dump(mode="json") | {"url": url, "secret": secret})
        return
    output().print(f"URL:    {url}", soft_wrap=True)
    if settings.public_url is None:
        messages().print("Set TRIAGE_PUBLIC_URL if the service is reached at another address than this URL names.")
    if PROVIDERS[kind].makes_secret:
        messages().print(f"Its secret is made by the sender: enter it with `triage webhooks secret {source.id}`.")
    else:
        output().print(f"Secret: {secret}", soft_wrap=True)
        messages().print("Keep the secret: it is not shown again.")


@app.command()
def secret(source_id: Annotated[str, _ID]) -> None:
    """Enter the secret that the sender made; it is asked for, or read from standard input."""
    entered = typer.prompt("Secret", hide_input=True).strip()
    run_with_store(lambda store: _set_secret(store, source_id, entered))
    output().print(f"Webhooks of {escape(source_id)} are accepted if they are signed with it.")


@app.command("list")
def list_sources(as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """List the sources."""
    settings = Settings()
    found = run_with_store(lambda store: store.webhook_sources.list())
    if as_json:
        print_json(found)
        return
    table = plain_table("id", "kind", "team", "URL")
    table.columns[0].no_wrap = True
    for one in found:
        table.add_row(one.id, one.kind, escape(one.team), f"{_base(settings)}/v1/webhooks/{one.id}")
    output().print(table)


@app.command()
def remove(source_id: Annotated[str, _ID]) -> None:
    """Take nothing more from a source. Its incidents stay."""
    run_with_store(lambda store: store.webhook_sources.delete(source_id))
    output().print(f"Nothing more is taken from {escape(source_id)}.")


def _base(settings: Settings) -> str:
    return (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")


async def _add(store: Store, kind: str, team: str) -> tuple[WebhookSource, str]:
    if kind not in PROVIDERS:
        raise InvalidInput(f"There is no kind {kind!r} of webhook: use one of {', '.join(PROVIDERS)}.", field="kind")
    return await store.webhook_sources.create(kind, team)


async def _set_secret(store: Store, source_id: str, secret: str) -> None:
    kinds = {source.id: source.kind for source in await store.webhook_sources.list()}
    if source_id not in kinds:
        raise NotFound(f"There is no webhook source {source_id!r}.", source_id=source_id)
    await store.webhook_sources.set_secret(source_id, PROVIDERS[kinds[source_id]].check_secret(secret))
