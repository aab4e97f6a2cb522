"""Each request's id, span, log line and metrics."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders

from triage.observability import logs, spans

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from triage.server.metrics import Metrics

HEADER = "X-Request-Id"

_log = logging.getLogger(logs.ACCESS)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_NO_ROUTE = "(none)"


class Instrumentation:
    """The outermost layer of an ASGI app, so that it also sees unexpected errors."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and record it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = logs.sane_id(headers.get(HEADER))
        # Not reset: the server logs uncaught errors after this has returned.
        logs.request_id.set(request_id)
        status, start = 500, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        with spans.span(method, kind="server", carrier=headers) as span:
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                seconds, route = time.perf_counter() - start, _route(scope)
                self._metrics.answered(method, route, status, seconds)
                if span.is_recorded:
                    _describe(span, scope, method, route, status, request_id)
                _log.log(
                    logging.DEBUG if route in _PROBES else logging.INFO,
                    "%s %s %d",
                    method,
                    route,
                    status,
                    extra={"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 2)}
                    | _caller(scope),
                )


def _route(scope: Scope) -> str:
    """The template of the path, such as `/v1/incidents/{incident_id}`: paths themselves contain ids."""
    return getattr(scope.get("route"), "path", None) or _NO_ROUTE


def _caller(scope: Scope) -> dict[str, str]:
    key_id = getattr(scope.get("state", {}).get("principal"), "key_id", None)
    return {"key_id": key_id} if key_id else {}


def _describe(span: spans.Span, scope: Scope, method: str, route: str, status: int, request_id: str) -> None:
    """HTTP's semantic conventions for servers, without paths and queries, which contain what callers put there."""
    server: Any = scope.get("server") or (None, None)
    if route != _NO_ROUTE:
        span.rename(f"{method} {route}")
    span.set(
        {
            "http.request.method": method,
            "http.route": route if route != _NO_ROUTE else None,
            "http.response.status_code": status,
            "url.scheme": scope.get("scheme"),
            "network.protocol.version": scope.get("http_version"),
            "server.address": server[0],
            "server.port": server[1],
            "triage.request_id": request_id,
        }
    )
    if status >= 500:
        span.fail(str(status))
