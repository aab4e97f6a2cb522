"""`triage serve`, `worker` and `spending`: the HTTP service, its workers, and what its model calls cost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from typing import Annotated, TypeVar

import typer
from rich.markup import escape

from triage.app.settings import Settings, secrets
from triage.cli.terminal import (
    JSON_OPTION,
    messages,
    opened_store,
    output,
    plain_table,
    print_json,
    settings_with,
    watching,
)
from triage.domain.errors import MisconfiguredService, TriageError
from triage.observability.logs import set_up
from triage.observability.progress import Progress
from triage.server.bind_address import needs_keys

T = TypeVar("T")

_STOP_WITHIN_S = 10
# Longer than the 60 s for which proxies keep a connection. If the service closed it first, a request that reuses it at
# that moment would fail.
_KEEP_ALIVE_S = 75
_log = logging.getLogger(__name__)


async def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; TRIAGE_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; TRIAGE_PORT.")] = None,
) -> None:
    """Start the HTTP service.

    Ctrl-C stops it; what was accepted and not triaged yet is triaged after the next start.
    """
    import uvicorn

    from triage.app.serving import open_app

    settings = settings_with(host=host, port=port)
    is_for_programs = settings.log_format == "json"
    console = messages(quiet=is_for_programs)
    asks_for_keys = needs_keys(settings.host, settings.auth)
    # Listen before the model starts, so that a port in use is reported at once.
    listening = _listen(settings.host, settings.port)
    async with _started(open_app, settings) as app:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_STOP_WITHIN_S,
            timeout_keep_alive=_KEEP_ALIVE_S,
            server_header=False,
        )
        server = uvicorn.Server(config)
        url = f"http://{settings.host}:{listening.getsockname()[1]}"
        if is_for_programs:
            _log.info("triage serves on %s.", url)
        console.print(f"triage serves on [bold]{url}[/bold]  (interface: {url}/docs; stop with Ctrl-C)")
        with_key = "-H 'Authorization: Bearer KEY' " if asks_for_keys else ""
        if asks_for_keys and not await app.state.service.store.keys.count():
            if is_for_programs:
                _log.warning("There is no key yet. Make the first one with: triage keys create NAME --scope admin")
            console.print(
                "[yellow]It is used with keys, and there is none yet. Make the first one with: "
                "triage keys create NAME --scope admin[/yellow]"
            )
        console.print(
            f"curl -s {url}/v1/incidents {with_key}-H 'Prefer: wait=120' -H 'Content-Type: text/plain' "
            "--data-binary @write-up.txt",
            soft_wrap=True,
            markup=False,
        )
        await server.serve(sockets=[listening])


async def worker(
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Incidents in work at a time; TRIAGE_CONCURRENCY.")
    ] = None,
) -> None:
    """Triage what the service accepts, beside any number of other workers.

    They share a PostgreSQL (TRIAGE_DATABASE_URL) and a Chroma server (TRIAGE_CHROMA_URL). Ctrl-C or SIGTERM ends one
    at once; what it had in work is taken up by another.
    """
    from triage.app.serving import open_worker

    settings = settings_with(concurrency=concurrency)
    is_for_programs = settings.log_format == "json"
    async with _started(open_worker, settings) as jobs:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        if is_for_programs:
            _log.info("triage works as %s.", jobs.executor[:8])
        messages(quiet=is_for_programs).print(f"triage works as [bold]{jobs.executor[:8]}[/bold] (stop with Ctrl-C)")
        while not stopped.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await stopped.wait()
            if not stopped.is_set() and not jobs.is_running:
                raise WorkerDied("The worker stopped working. See its log for the reason, then start it again.")


async def spending(
    days: Annotated[int, typer.Option(min=1, max=366, help="The latest days on which a model was asked.")] = 7,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show calls, tokens and cost by day (UTC) and model, counted over all processes."""
    settings = Settings()
    async with opened_store() as store:
        found = await store.spending.list(days)
    if as_json:
        print_json(found)
        return
    console = output()
    if not found:
        console.print("No model has been asked yet.")
        return
    figures = ("calls", "prompt tokens", "completion tokens", "cost")
    table = plain_table("day", "model", *figures, right=figures)
    for one in found:
        cost = "-" if one.cost is None else f"${one.cost:,.4f}"
        tokens = (f"{one.prompt_tokens:,}", f"{one.completion_tokens:,}")
        table.add_row(one.day, escape(one.model), f"{one.calls:,}", *tokens, cost)
    console.print(table)
    budget = [f"{settings.daily_tokens:,} tokens"] if settings.daily_tokens else []
    budget += [f"${settings.daily_cost:,.2f}"] if settings.daily_cost else []
    if budget:
        console.print(f"\nThe budget of a day: {' and '.join(budget)}; it starts anew at 00:00 UTC.")


@contextlib.asynccontextmanager
async def _started(
    open_process: Callable[[Settings, Progress], contextlib.AbstractAsyncContextManager[T]], settings: Settings
) -> AsyncIterator[T]:
    """Set up the logs and start a process. Its progress is shown only while it starts."""
    set_up(settings.log_format, settings.log_level, hidden=secrets(settings))
    with watching(quiet=settings.log_format == "json") as progress:
        context = open_process(settings, progress)
        process = await context.__aenter__()
    try:
        yield process
    finally:
        await context.__aexit__(None, None, None)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise MisconfiguredService(
            f"The service can't listen on {host}:{port} ({error.strerror or error}). Choose another with --port, or "
            "stop what listens there.",
            setting="port",
        ) from error


class WorkerDied(TriageError):
    """The worker stopped working."""

    status = 500
    title = "The worker died"
