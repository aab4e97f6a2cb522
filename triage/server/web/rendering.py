"""Render pages: templates with what every page shows, and errors as pages.

The template of a whole page extends `base.html`. The template of a part, which htmx puts in place, extends nothing.
"""

from __future__ import annotations

import http
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment
from starlette.exceptions import HTTPException

import triage
from triage.domain.annotation import LONGEST_NAME, clean_name
from triage.domain.errors import TriageError
from triage.domain.principal import Principal, Unauthenticated
from triage.observability import logs
from triage.render.html import environment_of
from triage.render.tables import format_cell
from triage.server.api.problems import DatabaseUnavailable, Defect, InvalidFields
from triage.server.transient_errors import is_database_away
from triage.server.web import template_filters
from triage.server.web.forms import hold_form
from triage.server.web.static_files import static_path

_log = logging.getLogger(__name__)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of every page: nothing inline, and nothing from other origins."""

THEMES = ("light", "dark")
THEME_COOKIE = "triage_theme"

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageOptions(NamedTuple):
    """`runs` is the folder of eval runs; `settings` are those in effect, without secrets.

    `warnings` say what impairs every answer of the service.
    """

    runs: Path = Path("runs")
    settings: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()


def show(
    request: Request, template: str, /, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any
) -> Response:
    """A page, or a part of one.

    Templates get `context` and what every page shows, such as `principal` (None before signing in) and `annotator`.
    """
    theme = request.cookies.get(THEME_COOKIE, "")
    page = _environment().get_template(template)
    text = page.render(
        request=request,
        principal=getattr(request.state, "principal", None),
        has_keys=request.app.state.service.authenticator.is_on,
        annotator=annotator_of(request),
        navigation=request.app.state.navigation,
        theme=theme if theme in THEMES else "",
        **context,
    )
    # The response depends on whether htmx asked.
    common = {"Content-Security-Policy": POLICY, "Vary": "HX-Request, Cookie"}
    return HTMLResponse(text, status, {**common, **(headers or {})})


def is_part(request: Request) -> bool:
    """True if htmx requests a part of a page."""
    return "hx-request" in request.headers and "hx-boosted" not in request.headers


def go_to(request: Request, path: str) -> Response:
    """Redirect the browser to another page of this service, also from htmx."""
    if is_part(request):
        return Response(status_code=204, headers={"HX-Redirect": path})
    return RedirectResponse(path, 303)


def own_path(path: str | None) -> str:
    """`path` if it leads to a page of this service, else `/`. Prevents open redirects.

    >>> own_path("/queue?status=failed"), own_path("//evil.example"), own_path("https://evil.example")
    ('/queue?status=failed', '/', '/')
    >>> own_path("/\\\\evil.example")
    '/'
    """
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path:
        return "/"
    parts = urlsplit(path)
    return "/" if parts.scheme or parts.netloc or any(ord(c) < 32 for c in path) else path


class PageRoute(APIRoute):
    """A route that shows errors as pages, and leads to the sign-in page where a key is needed."""

    def get_route_handler(self) -> _Handler:
        """The handler with error handling."""
        handle = super().get_route_handler()

        async def handle_errors(request: Request) -> Response:
            try:
                # FastAPI parses declared forms without a size limit and before authentication.
                return await handle(request if self.body_field is None else await hold_form(request))
            except Unauthenticated as error:
                return _sign_in(request, error)
            except HTTPException as error:
                title = http.HTTPStatus(error.status_code).phrase
                return _show_error(request, error.status_code, title, str(error.detail), error.headers)
            except Exception as error:  # noqa: BLE001 - shown as an error page
                problem = _problem_of(error)
                if problem.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
                    trace = error if isinstance(problem, Defect) else None
                    _log.error("%s %s: %s", request.method, request.url.path, problem.detail, exc_info=trace)
                return _show_error(request, problem.status, problem.title, problem.detail, problem.headers)

        return handle_errors


def page_router(dependencies: Sequence[Any] = ()) -> APIRouter:
    """A router for pages with these dependencies. Pages are not in the API's description."""
    return APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=list(dependencies))


def add_not_found_page(app: FastAPI) -> None:
    """For unknown paths, show a page to browsers. Programs still get a problem document."""
    answer = app.exception_handlers[HTTPException]

    async def handle(request: Request, error: Exception) -> Response:
        is_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")
        if is_page and isinstance(error, HTTPException) and error.status_code == http.HTTPStatus.NOT_FOUND:
            return _show_error(request, 404, "Not found", f"There is no page {request.url.path}.")
        response: Response = await answer(request, error)  # type: ignore[misc]
        return response

    app.add_exception_handler(HTTPException, handle)


def _problem_of(error: Exception) -> TriageError:
    if isinstance(error, TriageError):
        return error
    if isinstance(error, RequestValidationError):
        return InvalidFields.of(error)
    return DatabaseUnavailable() if is_database_away(error) else Defect()


def _show_error(
    request: Request, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An error as a page; for htmx as a notice, which `app.js` shows on top of the page."""
    template = "notice.html" if is_part(request) else "error.html"
    context = {"error_status": status, "title": title, "detail": detail, "request_id": logs.request_id.get()}
    return show(request, template, status=status, headers=headers, **context)


def _sign_in(request: Request, error: Unauthenticated) -> Response:
    """Lead to the sign-in page and back: to the requested page, or else to the one around a part or form."""
    if request.method == "GET" and not is_part(request):
        address = urlsplit(str(request.url))
    else:
        address = urlsplit(request.headers.get("hx-current-url") or request.headers.get("referer") or "")
    back = address.path + (f"?{address.query}" if address.query else "")
    reason = "" if error.data.get("reason") == "missing" else f"&reason={error.data.get('reason')}"
    return go_to(request, f"/login?next={quote(own_path(back), safe='')}{reason}")


@cache
def _environment() -> Environment:
    environment = environment_of("triage.server.web")
    environment.filters |= template_filters.FILTERS
    environment.globals |= {"format_cell": format_cell, "static": static_path, "version": triage.__version__}
    return environment


COOKIE = "triage_annotator"

_MAX_AGE_S = 365 * 86_400


def annotator_of(request: Request) -> str:
    """The annotator's name: from the cookie, else from the key; empty if unknown."""
    name = getattr(request.state, "annotator", "") or cleaned_name(unquote(request.cookies.get(COOKIE, "")))
    if name:
        return name
    principal: Principal | None = getattr(request.state, "principal", None)
    return principal.name if principal is not None and principal.key_id is not None else ""


def remember_annotator(response: Response, name: str) -> None:
    """Keep the name in the browser for a year."""
    # Not "strict": the name must be known when a link from a chat opens an incident that is to be labelled blind.
    response.set_cookie(COOKIE, quote(name), max_age=_MAX_AGE_S, httponly=True, samesite="lax", path="/")


def forget_annotator(response: Response) -> None:
    """Delete the name from the browser."""
    response.delete_cookie(COOKIE, path="/")


def cleaned_name(name: str) -> str:
    """The name on one line, without invisible characters, and not too long."""
    return clean_name(name)[:LONGEST_NAME]
