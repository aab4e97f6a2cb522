"""Typing as a person does: the next key when the answer to the one before stands on the screen."""

from __future__ import annotations

import asyncio
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Static

from triage.cli.annotate.choice import Choice
from triage.cli.annotate.incident_app import IncidentApp


async def press(pilot: Pilot[Any], *keys: str) -> None:
    app = pilot.app
    for key in keys:
        await pilot.press(key)
        async with asyncio.timeout(60):
            while app.is_running and not _waits(app):  # noqa: ASYNC110 - the screen has no event to wait for
                await asyncio.sleep(0.01)
        await pilot.pause()


def shown(app: IncidentApp, place: str) -> str:
    return str(app.query_one(place, Static).content)


def listed(app: IncidentApp) -> str:
    """The labels that can be chosen, one a line."""
    options = app.query_one("LabelList")
    return "\n".join(str(options.get_option_at_index(n).prompt) for n in range(options.option_count))


def _waits(app: Any) -> bool:
    return bool(app.query_one(Choice).is_open or app.query_one("#done").display)
