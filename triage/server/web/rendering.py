"""How pages are made and answered: templates, what every page knows, and errors as pages.

    router = page_router()

    @router.get("/things")
    async def things(request: Request, service: Parts, who: Reader) -> Response:
        return show(request, "things.html", things=await service.store.things(teams=who.teams))

A template of a whole page extends `base.html`. One of a part that htmx puts in place extends nothing.
"""

from __future__ import annotations

import http
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException

import triage
from triage.domain.errors import TriageError
from triage.domain.principal import Principal, Unauthenticated
from triage.observability import logs
from triage.render.tables import format_cell
from triage.server.api.problems import DatabaseUnavailable, Defect, InvalidFields
from triage.server.transient_errors import is_database_away
from triage.server.web import words
from triage.server.web.annotator import annotator_of
from triage.server.web.forms import hold_form
from triage.server.web.navigation import PLACES, is_current
from triage.server.web.static import place_of

_log = logging.getLogger(__name__)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of every page: nothing from elsewhere, and nothing inline."""

THEMES = ("light", "dark")
THEME_COOKIE = "triage_theme"

_HEADERS = {"Content-Security-Policy": POLICY}
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def show(
    request: Request, template: str, /, *, status: int = 200, headers: Mapping[str, str] | None = None, **known: Any
) -> Response:
    """A page or a part of one. Templates know `request`, `who` (None before signing in), `annotator`, and `known`."""
    who: Principal | None = getattr(request.state, "principal", None)
    theme = request.cookies.get(THEME_COOKIE, "")
    page = _environment().get_template(template)
    text = page.render(
        request=request,
        who=who,
        has_keys=request.app.state.service.authenticator.is_on,
        annotator=annotator_of(request),
        places=PLACES,
        theme=theme if theme in THEMES else "",
        **known,
    )
    # What the browser got depends on whether htmx asked.
    return HTMLResponse(text, status, {**_HEADERS, "Vary": "HX-Request, Cookie", **(headers or {})})


def is_part(request: Request) -> bool:
    """True if htmx asks, which wants a part of a page and no whole one."""
    return "hx-request" in request.headers and "hx-boosted" not in request.headers


def go_to(request: Request, path: str) -> Response:
    """Lead the browser to another page of ours, also where htmx asked."""
    if is_part(request):
        return Response(status_code=204, headers={"HX-Redirect": path})
    return RedirectResponse(path, 303)


def ours(path: str | None) -> str:
    """`path` if it leads to a page of this service, else the first page: nobody is led elsewhere by a link.

    >>> ours("/queue?status=failed"), ours("//evil.example"), ours("https://evil.example"), ours("/\\\\evil.example")
    ('/queue?status=failed', '/', '/', '/')
    """
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path:
        return "/"
    parts = urlsplit(path)
    return "/" if parts.scheme or parts.netloc or any(ord(c) < 32 for c in path) else path


class PageRoute(APIRoute):
    """A route whose errors are pages: to sign in where a key is needed, else what is wrong and what to do."""

    def get_route_handler(self) -> _Handler:
        """The handler, with errors shown."""
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                # FastAPI reads the forms that it takes apart without a bound, and before anybody looks at the key.
                return await handle(request if self.body_field is None else await hold_form(request))
            except Unauthenticated as error:
                wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                # A part of a page is nowhere to come back to: the page around it is.
                back = wanted if request.method == "GET" and not is_part(request) else _page_around(request)
                reason = "" if error.data.get("reason") == "missing" else f"&reason={error.data.get('reason')}"
                return go_to(request, f"/login?next={quote(ours(back), safe='')}{reason}")
            except TriageError as error:
                if error.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
                    _log.error("%s %s: %s", request.method, request.url.path, error.detail)
                return show_error(request, error.status, error.title, error.detail, getattr(error, "headers", None))
            except RequestValidationError as error:
                wrong = InvalidFields.of(error)
                return show_error(request, wrong.status, wrong.title, wrong.detail)
            except HTTPException as error:
                title = http.HTTPStatus(error.status_code).phrase
                return show_error(request, error.status_code, title, str(error.detail), error.headers)
            except Exception as error:  # noqa: BLE001 - whatever it was, people are told in words
                is_away = is_database_away(error)
                told = DatabaseUnavailable() if is_away else Defect()
                trace = None if is_away else error
                _log.error("%s %s: %s", request.method, request.url.path, told.detail, exc_info=trace)
                return show_error(request, told.status, told.title, told.detail)

        return shown


def page_router(dependencies: Sequence[Any] = ()) -> APIRouter:
    """A router for pages, all of which have these dependencies. They are no part of the API's description."""
    return APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=list(dependencies))


def show_error(
    request: Request, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An error as a page; for htmx as a notice, which the script of the pages puts on top."""
    template = "notice.html" if is_part(request) else "error.html"
    told = {"title": title, "detail": detail, "request_id": logs.request_id.get()}
    return show(request, template, status=status, headers=headers, error_status=status, **told)


def not_found_page(app: FastAPI) -> None:
    """Where nothing is, browsers get a page, and programs the problem document as before."""
    answer = app.exception_handlers[HTTPException]

    async def handle(request: Request, error: Exception) -> Response:
        is_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")
        if is_page and isinstance(error, HTTPException) and error.status_code == http.HTTPStatus.NOT_FOUND:
            return show_error(request, 404, "Not found", f"There is no page {request.url.path}.")
        response: Response = await answer(request, error)  # type: ignore[misc]
        return response

    app.add_exception_handler(HTTPException, handle)


def _page_around(request: Request) -> str:
    parts = urlsplit(request.headers.get("hx-current-url") or request.headers.get("referer") or "")
    return parts.path + (f"?{parts.query}" if parts.query else "")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("triage.server.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= words.FILTERS
    environment.globals |= {
        "format_cell": format_cell,
        "static": place_of,
        "is_current": is_current,
        "version": triage.__version__,
    }
    return environment
