"""`triage subscriptions`: webhooks out."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import FAILURE, JSON_OPTION, App, messages, opened_store, output, plain_table, print_json
from triage.domain.enums import EVENTS
from triage.domain.errors import InvalidInput
from triage.domain.principal import DEFAULT_TEAM

app = App(no_args_is_help=True, help="Who is told of triages: webhooks out.")

_ID = typer.Argument(help="The subscription's id.")


@app.command()
async def add(
    url: Annotated[str, typer.Argument(help="Where to send: https, at a public address.")],
    team: Annotated[str, typer.Option(help="Whose incidents.")] = DEFAULT_TEAM,
    slack: Annotated[bool, typer.Option("--slack", help="The URL is a Slack-compatible incoming webhook.")] = False,
    event: Annotated[list[str] | None, typer.Option(help=f"Repeatable; {', '.join(EVENTS)}. All of them.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Subscribe a URL. Prints the secret that signs the messages, this once."""
    from triage.server.notifications import check_url

    if unknown := [name for name in event or () if name not in EVENTS]:
        raise InvalidInput(f"There is no event {unknown[0]!r}: use one of {', '.join(EVENTS)}.", field="event")
    check_url(url, private=Settings().private_webhooks)
    events = [name for name in EVENTS if not event or name in event]
    async with opened_store() as store:
        subscription, secret = await store.subscriptions.create(url, team, "slack" if slack else "generic", events)
    if as_json:
        print_json(subscription.model_dump(mode="json") | {"secret": secret})
        return
    output().print(f"{subscription.id} is told of incidents of team {escape(team)}.", soft_wrap=True)
    output().print(f"Secret: {secret}", soft_wrap=True)
    messages().print(
        f"Keep the secret: it is not shown again. Try it with `triage subscriptions test {subscription.id}`."
    )


@app.command("list")
async def list_subscriptions(
    team: Annotated[str | None, typer.Option(help="Only of this team.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """List the subscriptions."""
    async with opened_store() as store:
        subscriptions = await store.subscriptions.list(team)
    if as_json:
        print_json(subscriptions)
        return
    table = plain_table("id", "team", "kind", "events", "state", "URL")
    table.columns[0].no_wrap = True
    for entry in subscriptions:
        state = "active" if entry.is_active else "inactive"
        table.add_row(entry.id, *map(escape, (entry.team, entry.kind, ", ".join(entry.events), state, entry.url)))
    output().print(table)


@app.command()
async def remove(subscription_id: Annotated[str, _ID]) -> None:
    """End a subscription. What still waits for it is not sent."""
    async with opened_store() as store:
        await store.subscriptions.delete(subscription_id)
    output().print(f"{escape(subscription_id)} is told nothing more.")


@app.command("test")
async def send_test(subscription_id: Annotated[str, _ID], as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Send a test message now. The exit code is 1 if it did not arrive."""
    from triage.app.wiring.storage import build_notifier, open_store

    settings = Settings()
    async with open_store(settings) as (store, taxonomy):
        notifier = build_notifier(settings, store, taxonomy)
        try:
            outcome = await notifier.test(subscription_id)
        finally:
            await notifier.stop()
    if as_json:
        print_json(outcome._asdict())
    else:
        arrived = "It arrived" if outcome.result == "delivered" else "It did not arrive"
        output().print(f"{arrived} ({outcome.seconds:.2f} s): {escape(outcome.detail)}", soft_wrap=True)
    if outcome.result != "delivered":
        raise typer.Exit(FAILURE)
