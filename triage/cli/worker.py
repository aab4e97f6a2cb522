"""`triage worker`: a process that triages what the API accepts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import Annotated

import typer

from triage.app.settings import Settings, secrets
from triage.cli.terminal import messages, run, watching
from triage.domain.errors import TriageError
from triage.observability.logs import set_up

_log = logging.getLogger(__name__)


def worker(
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Incidents in work at a time; TRIAGE_CONCURRENCY.")
    ] = None,
) -> None:
    """Triage what the service accepts, beside any number of other workers.

    They share a PostgreSQL (TRIAGE_DATABASE_URL) and a Chroma server (TRIAGE_CHROMA_URL). Ctrl-C or SIGTERM ends one
    at once; what it had in work is taken up by another.
    """
    settings = Settings()
    run(_work(settings if concurrency is None else settings.model_copy(update={"concurrency": concurrency})))


async def _work(settings: Settings) -> None:
    from triage.app.serving import open_worker

    set_up(settings.log_format, settings.log_level, hidden=secrets(settings))
    is_for_programs = settings.log_format == "json"
    with watching(quiet=is_for_programs) as progress:
        context = open_worker(settings, progress)
        jobs = await context.__aenter__()
    try:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        if is_for_programs:
            _log.info("triage works as %s.", jobs.executor[:8])
        messages(quiet=is_for_programs).print(f"triage works as [bold]{jobs.executor[:8]}[/bold] (stop with Ctrl-C)")
        while not stopped.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), 1.0)
            if not stopped.is_set() and not jobs.is_running:
                raise WorkerDied("The worker stopped working. See its log for the reason, then start it again.")
    finally:
        await context.__aexit__(None, None, None)


class WorkerDied(TriageError):
    """The worker stopped working."""

    status = 500
    title = "The worker died"
