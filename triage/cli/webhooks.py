"""`triage webhooks`: webhooks in."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, App, messages, opened_store, output, plain_table, print_json, run
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.principal import DEFAULT_TEAM
from triage.intake.webhooks import PROVIDERS

app = App(no_args_is_help=True, help="Who may send incidents: webhooks in.")

_ID = typer.Argument(help="The source's id.")


@app.command()
async def add(
    kind: Annotated[str, typer.Argument(help=f"Who sends: {', '.join(PROVIDERS)}.")],
    team: Annotated[str, typer.Option(help="Whose incidents they are.")] = DEFAULT_TEAM,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Let a tool send incidents. Prints the URL to send to and the secret to sign with, this once."""
    if kind not in PROVIDERS:
        raise InvalidInput(f"There is no kind {kind!r} of webhook: use one of {', '.join(PROVIDERS)}.", field="kind")
    settings = Settings()
    async with opened_store() as store:
        source, secret = await store.webhook_sources.create(kind, team)
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
    run(_set_secret(source_id, entered))
    output().print(f"Webhooks of {escape(source_id)} are accepted if they are signed with it.")


@app.command("list")
async def list_sources(as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """List the sources."""
    settings = Settings()
    async with opened_store() as store:
        sources = await store.webhook_sources.list()
    if as_json:
        print_json(sources)
        return
    table = plain_table("id", "kind", "team", "URL")
    table.columns[0].no_wrap = True
    for source in sources:
        table.add_row(source.id, source.kind, escape(source.team), f"{_base(settings)}/v1/webhooks/{source.id}")
    output().print(table)


@app.command()
async def remove(source_id: Annotated[str, _ID]) -> None:
    """Take nothing more from a source. Its incidents stay."""
    async with opened_store() as store:
        await store.webhook_sources.delete(source_id)
    output().print(f"Nothing more is taken from {escape(source_id)}.")


def _base(settings: Settings) -> str:
    return (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")


async def _set_secret(source_id: str, secret: str) -> None:
    async with opened_store() as store:
        kinds = {source.id: source.kind for source in await store.webhook_sources.list()}
        if source_id not in kinds:
            raise NotFound(f"There is no webhook source {source_id!r}.", source_id=source_id)
        await store.webhook_sources.set_secret(source_id, PROVIDERS[kinds[source_id]].check_secret(secret))
