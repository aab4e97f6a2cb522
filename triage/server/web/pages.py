"""All pages: their navigation, and their registration with the app of the API."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import FastAPI

from triage.domain.principal import Scope
from triage.evaluation.run_cache import RunCache
from triage.server.api import access
from triage.server.web import (
    agreement,
    annotation_job,
    evals,
    history,
    home,
    incident,
    incident_labels,
    incident_sections,
    label,
    login,
    review_queue,
    settings,
    static_files,
    study,
)
from triage.server.web.figure_cache import FigureCache
from triage.server.web.rendering import PageOptions, add_not_found_page


class NavigationItem(NamedTuple):
    """A page in the navigation, shown to principals with the scope `needs`. `key` opens it after `g`."""

    name: str
    path: str
    key: str
    needs: Scope = "read"

    def is_current(self, path: str) -> bool:
        """True if `path` is this page or below it."""
        return path == self.path or (self.path != "/" and path.startswith(f"{self.path}/"))


NAVIGATION = (
    NavigationItem("Triage", "/", "t"),
    NavigationItem("Queue", "/queue", "q"),
    NavigationItem("Label", "/label", "l", needs="annotate"),
    NavigationItem("History", "/history", "h"),
    NavigationItem("Agreement", "/agreement", "a"),
    NavigationItem("Evals", "/evals", "e"),
    NavigationItem("Study", "/study", "s"),
    NavigationItem("Settings", "/settings", ","),
)

_MODULES = (
    *(static_files, login, home, incident, incident_labels, incident_sections, review_queue, label),
    *(annotation_job, history, agreement, evals, study, settings),
)
_PUBLIC = frozenset({"/login", "/logout", "/static/{version}/{name}"})


def add_pages(app: FastAPI, options: PageOptions = PageOptions()) -> FastAPI:  # noqa: B008 - immutable
    """Add the pages to the app that `create_app` made. Raises if a page does not declare the access that it needs."""
    app.state.navigation = NAVIGATION
    app.state.page_options = options
    app.state.run_cache = RunCache(options.runs)
    app.state.figure_cache = FigureCache()
    for module in _MODULES:
        app.include_router(module.router)
    add_not_found_page(app)
    access.check(app, _PUBLIC)
    return app
