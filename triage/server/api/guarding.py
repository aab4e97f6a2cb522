"""Around every request: who may ask from where, how large and how slow a request may be, and headers for browsers.

Pure ASGI and outermost, so that it holds for every answer, also for one to a defect.
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

from triage.server.api.keyring import key_in
from triage.server.api.problems import problem
from triage.server.bind_address import is_loopback

_MOST_URL_BYTES = 8_192
_MOST_HEADER_BYTES = 32_768
_SAFE = ("GET", "HEAD", "OPTIONS")
_ELSEWHERE = "A page of another website sent this. To let it, add its origin to TRIAGE_CORS_ORIGINS."
_ELSEWHERE_WITH_KEYS = (
    "A page of another website sent this without a key. To let it, add its origin to TRIAGE_CORS_ORIGINS, and have it "
    "send `Authorization: Bearer KEY`."
)
_PORTS = {"http": 80, "https": 443}
_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # What is told of incidents is nobody's to keep on the way. An endpoint may say otherwise.
    "Cache-Control": "no-store",
}


class GuardOptions(NamedTuple):
    """`hosts` are the names by which a service without keys may be called, beside those of loopback; None: any.

    `cors_origins` are websites whose pages may use the service, with a key where it has keys. `request_limit_s` is how
    long a body may take to come in; endpoints have lower limits for its size than `most_body_bytes`, which holds for
    all.
    """

    hosts: frozenset[str] | None = None
    has_keys: bool = False
    cors_origins: tuple[str, ...] = ()
    request_limit_s: float = 30.0
    most_body_bytes: int = 64_000_000


class Guard:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp, options: GuardOptions) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        guarded = _with_headers(scope, send)
        refused = self._refusal(scope)
        if refused is not None:
            status, title, detail = refused
            answer = problem(Request(scope), status, "about:blank", title, detail)
            await answer(scope, receive, guarded)
            return
        await self._app(scope, self._bounded(receive), guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > _MOST_URL_BYTES:
            return 414, "URI Too Long", f"The address is longer than {_MOST_URL_BYTES:,} bytes."
        if sum(len(name) + len(value) for name, value in scope["headers"]) > _MOST_HEADER_BYTES:
            return 431, "Request Header Fields Too Large", f"The headers are larger than {_MOST_HEADER_BYTES:,} bytes."
        headers = Headers(scope=scope)
        if not self._is_called_by_its_name(headers):
            # Else a website could have its own name point to this machine, and read what is here (DNS rebinding).
            return (
                421,
                "Misdirected Request",
                "Without keys this service answers only to names of this machine: call it as 127.0.0.1 or localhost, "
                "or set TRIAGE_AUTH=on and use keys.",
            )
        if not self._may_come_from(scope, headers):
            return 403, "Forbidden", _ELSEWHERE_WITH_KEYS if self._options.has_keys else _ELSEWHERE
        return None

    def _is_called_by_its_name(self, headers: Headers) -> bool:
        if self._options.has_keys or self._options.hosts is None:
            return True
        host = _host(f"//{headers.get('host', '')}")
        return host is not None and (is_loopback(host) or host in self._options.hosts)

    def _may_come_from(self, scope: Scope, headers: Headers) -> bool:
        # A browser never sends a key by itself. A session it does send, and to sign in or out nothing is needed.
        if scope["method"] in _SAFE or (self._options.has_keys and key_in(headers)):
            return True
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        if not self._options.has_keys and not {origin, "*"}.isdisjoint(self._options.cors_origins):
            return True
        scheme = str(scope.get("scheme", "http"))
        return _place(origin) is not None and _place(origin) == _place(f"{scheme}://{headers.get('host', '')}")

    def _bounded(self, receive: Receive) -> Receive:
        deadline = asyncio.get_running_loop().time() + self._options.request_limit_s
        size, is_complete = 0, False

        async def bounded() -> Message:
            nonlocal size, is_complete
            if is_complete:
                # From here on it waits for the client to go, however long the answer takes.
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408,
                    f"The body did not come in within {self._options.request_limit_s:g} s.",
                    headers={"Connection": "close"},
                ) from None
            size += len(message.get("body", b""))
            is_complete = message["type"] != "http.request" or not message.get("more_body", False)
            if size > self._options.most_body_bytes:
                raise HTTPException(
                    413,
                    f"The body is larger than {self._options.most_body_bytes:,} bytes.",
                    headers={"Connection": "close"},
                )
            return message

        return bounded


def _with_headers(scope: Scope, send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            told: Mapping[str, str] = scope["state"].get("told", {})
            for name, value in {**_EVERYWHERE, **told}.items():
                headers.setdefault(name, value)
            if scope.get("scheme") == "https":
                headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        await send(message)

    return sending


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _place(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin; None for one that is none, such as `null`."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None
