"""Protects every request: allowed hosts and origins, limits on size and time, and security headers.

Pure ASGI and around the whole app, so that it also covers answers to unexpected errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from triage.server.api.authentication import key_in
from triage.server.api.problems import problem
from triage.server.bind_address import is_loopback

_MOST_URL_BYTES = 8_192
_MOST_HEADER_BYTES = 32_768
_SAFE = ("GET", "HEAD", "OPTIONS")
_CROSS_SITE = "A page of another website sent this. To allow it, add its origin to TRIAGE_CORS_ORIGINS."
_CROSS_SITE_WITHOUT_KEY = (
    "A page of another website sent this without a key. To allow it, add its origin to TRIAGE_CORS_ORIGINS and send "
    "`Authorization: Bearer KEY`."
)
_PORTS = {"http": 80, "https": 443}
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Answers contain incident data, which no cache may keep. An endpoint may set its own.
    "Cache-Control": "no-store",
}


class GuardOptions(NamedTuple):
    """`hosts` are the names under which a service without keys may be called, beside loopback's; None allows any.

    Pages of the websites in `cors_origins` may use the service, with a key if it requires keys. `request_limit_s` is
    how long a body may take to arrive. `most_body_bytes` applies to every body; endpoints have lower limits.
    """

    hosts: frozenset[str] | None = None
    has_keys: bool = False
    cors_origins: tuple[str, ...] = ()
    request_limit_s: float = 30.0
    most_body_bytes: int = 64_000_000


class Guard:
    """An ASGI layer that refuses unsafe requests and adds security headers."""

    def __init__(self, app: ASGIApp, options: GuardOptions) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        send = _with_headers(scope, send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await problem(Request(scope), *refusal)(scope, receive, send)
            return
        await self._app(scope, self._bounded(receive), send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the reason why a request is refused."""
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > _MOST_URL_BYTES:
            return 414, f"The address is longer than {_MOST_URL_BYTES:,} bytes."
        if sum(len(name) + len(value) for name, value in scope["headers"]) > _MOST_HEADER_BYTES:
            return 431, f"The headers are larger than {_MOST_HEADER_BYTES:,} bytes."
        headers = Headers(scope=scope)
        if not self._is_host_allowed(headers):
            # Prevents DNS rebinding, where a website's own name points to this machine.
            return (
                421,
                "Without keys, this service answers only to names of this machine: call it as 127.0.0.1 or localhost, "
                "or set TRIAGE_AUTH=on and use keys.",
            )
        if not self._is_origin_allowed(scope, headers):
            return 403, _CROSS_SITE_WITHOUT_KEY if self._options.has_keys else _CROSS_SITE
        return None

    def _is_host_allowed(self, headers: Headers) -> bool:
        if self._options.has_keys or self._options.hosts is None:
            return True
        host = _host(f"//{headers.get('host', '')}")
        return host is not None and (is_loopback(host) or host in self._options.hosts)

    def _is_origin_allowed(self, scope: Scope, headers: Headers) -> bool:
        # A browser never sends a key by itself, but it does send session cookies, and logging in needs neither.
        if scope["method"] in _SAFE or (self._options.has_keys and key_in(headers)):
            return True
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        if not self._options.has_keys and not {origin, "*"}.isdisjoint(self._options.cors_origins):
            return True
        scheme = str(scope.get("scheme", "http"))
        return _origin(origin) is not None and _origin(origin) == _origin(f"{scheme}://{headers.get('host', '')}")

    def _bounded(self, receive: Receive) -> Receive:
        deadline = asyncio.get_running_loop().time() + self._options.request_limit_s
        size, is_complete = 0, False

        async def bounded() -> Message:
            nonlocal size, is_complete
            if is_complete:
                # From here on this waits for a disconnect, which may take as long as the answer.
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                why = f"The body did not arrive within {self._options.request_limit_s:g} s."
                raise HTTPException(408, why, headers={"Connection": "close"}) from None
            size += len(message.get("body", b""))
            is_complete = message["type"] != "http.request" or not message.get("more_body", False)
            if size > self._options.most_body_bytes:
                why = f"The body is larger than {self._options.most_body_bytes:,} bytes."
                raise HTTPException(413, why, headers={"Connection": "close"})
            return message

        return bounded


def _with_headers(scope: Scope, send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            own: Mapping[str, str] = scope["state"].get("headers", {})
            for name, value in {**_SECURITY_HEADERS, **own}.items():
                headers.setdefault(name, value)
            if scope.get("scheme") == "https":
                headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        await send(message)

    return send_with_headers


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for an opaque origin such as `null`."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None
