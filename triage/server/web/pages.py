"""All pages, put onto the app of the API."""

from __future__ import annotations

from fastapi import FastAPI

from triage.evaluation.run_cache import RunCache
from triage.server.api import access
from triage.server.web import (
    adjudicate,
    agreement,
    assigning,
    checklist,
    eval_run,
    evals,
    history,
    home,
    incident,
    incident_labels,
    incident_ledger,
    incident_sections,
    keys,
    label,
    ledger,
    login,
    playbooks,
    progress,
    queue,
    radar,
    settings,
    static,
    study,
    taxonomies,
)
from triage.server.web.kept import Kept
from triage.server.web.options import PageOptions
from triage.server.web.rendering import not_found_page

_PAGES = (
    static,
    login,
    home,
    incident,
    incident_labels,
    incident_ledger,
    incident_sections,
    queue,
    label,
    adjudicate,
    assigning,
    progress,
    history,
    agreement,
    evals,
    eval_run,
    study,
    ledger,
    playbooks,
    radar,
    checklist,
    settings,
    taxonomies,
    keys,
)
_OPEN = frozenset({"/login", "/logout", "/static/{version}/{name}"})


def add_pages(app: FastAPI, options: PageOptions = PageOptions()) -> FastAPI:  # noqa: B008 - a value that does not change
    """Add the pages to the app that `create_app` made. Raises if a page does not say what it needs."""
    app.state.page_options = options
    app.state.run_cache = RunCache(options.runs)
    app.state.kept = Kept()
    for module in _PAGES:
        app.include_router(module.router)
    not_found_page(app)
    access.check(app, _OPEN)
    return app
