"""All pages, put onto the app of the API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple, cast

from fastapi import Depends, FastAPI, Request

from triage.api import access
from triage.web import home, incident, incident_labels, incident_ledger, incident_sections, login, static
from triage.web.rendering import not_found_page

_OPEN = frozenset({"/login", "/logout", "/static/{version}/{name}"})


class PageOptions(NamedTuple):
    """What pages show beside the parts of the service. `runs` is the folder of the eval runs.

    `settings` are those in effect, by name, without secrets.
    """

    runs: Path = Path("runs")
    settings: Mapping[str, str] = {}


def add_pages(app: FastAPI, options: PageOptions = PageOptions()) -> FastAPI:  # noqa: B008 - a value that does not change
    """Add the pages to the app that `create_app` made. Raises if a page does not say what it needs."""
    app.state.page_options = options
    for module in (static, login, home, incident, incident_labels, incident_ledger, incident_sections):
        app.include_router(module.router)
    not_found_page(app)
    access.check(app, _OPEN)
    return app


def _options(request: Request) -> PageOptions:
    return cast("PageOptions", request.app.state.page_options)


Options = Annotated[PageOptions, Depends(_options)]
