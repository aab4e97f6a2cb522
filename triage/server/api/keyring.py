"""Who comes with a key or a session: looked up, remembered for a few seconds, and limited in how often they ask."""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from fastapi import Request

from triage.domain.principal import EVERYONE, Principal, TooManyRequests, Unauthenticated
from triage.server.api.allowance import Allowances
from triage.store.keys import Key, Keys
from triage.store.sessions import Sessions

REMEMBERED_S = 3.0
"""A revoked key opens nothing after this, in every process."""

SESSION_COOKIE = "triage_session"
"""What a browser keeps after somebody gave their key there, see `triage/server/web/login.py`."""

_MOST_REMEMBERED = 10_000
_INVALID = ', error="invalid_token"'

Kind = Literal["key", "session"]

_OPENS_NOTHING: dict[Kind, str] = {
    "key": "This key does not open anything: it is not complete, unknown, or was revoked.",
    "session": "This session is over: give your key again.",
}


class AccessOptions(NamedTuple):
    """With `is_on` a key is needed. `requests_per_minute` holds for keys that have no limit of their own.

    `failures_per_minute` is how often an address may come without a valid key.
    """

    is_on: bool = False
    requests_per_minute: int = 600
    failures_per_minute: int = 30


class Keyring:
    """Tells who makes a request. One per process."""

    def __init__(self, keys: Keys, sessions: Sessions, options: AccessOptions) -> None:
        self.is_on = options.is_on
        self._keys = keys
        self._sessions = sessions
        self._requests_per_minute = options.requests_per_minute
        self._failures_per_minute = options.failures_per_minute
        self._remembered: dict[bytes, tuple[float, Key]] = {}
        self._requests = Allowances()
        self._failures = Allowances()

    async def identify(self, request: Request) -> Principal:
        """Who makes the request, counted as one of theirs.

        Raises `Unauthenticated` for no key or one that does not open, and `TooManyRequests`. An unknown key and a
        revoked one are told the same.
        """
        if not self.is_on:
            return EVERYONE
        return (await self._allowed(request, *_given(request.headers, request.cookies))).principal

    def is_given(self, request: Request) -> bool:
        """True if something came with the request that may be a key or a session."""
        return bool(_given(request.headers, request.cookies)[1])

    async def begin_session(self, request: Request, text: str) -> str:
        """The token of a new session for whoever gives this key. Counted, and raises, as `identify` does."""
        return await self._sessions.begin(await self._allowed(request, "key", text))

    async def end_session(self, token: str) -> None:
        """End a session: in this process at once, in others after `REMEMBERED_S`."""
        await self._sessions.end(token)
        self._remembered.pop(_name("session", token), None)

    async def _allowed(self, request: Request, kind: Kind, text: str) -> Key:
        key = await self._counted(request, kind, text)
        standing = self._requests.spend(key.id, key.requests_per_minute or self._requests_per_minute)
        if not standing.is_allowed:
            raise TooManyRequests(
                f"This key may make {standing.per_minute} requests a minute: try again in {standing.next_s} s.",
                standing.headers("key"),
            )
        request.state.told = standing.headers("key")
        return key

    async def _counted(self, request: Request, kind: Kind, text: str) -> Key:
        try:
            return await self._key(kind, text)
        except Unauthenticated:
            failed = self._failures.spend(_address(request), self._failures_per_minute)
            if failed.is_allowed:
                raise
            raise TooManyRequests(
                f"Too many requests without a valid key came from this address: try again in {failed.next_s} s.",
                failed.headers("failures"),
            ) from None

    async def _key(self, kind: Kind, text: str) -> Key:
        if not text:
            raise Unauthenticated(
                "This service is used with a key: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
                reason="missing",
            )
        # The text itself is not kept in memory for longer than its request.
        name = _name(kind, text)
        moment, key = self._remembered.get(name, (0.0, None))
        if key is None or time.monotonic() - moment >= REMEMBERED_S:
            self._remembered.pop(name, None)
            moment = time.monotonic()
            key = await (self._keys.find(text) if kind == "key" else self._sessions.find(text))
            if key is None:
                raise Unauthenticated(_OPENS_NOTHING[kind], challenge=_INVALID, reason="invalid")
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[name] = moment, key
        if key.is_expired(datetime.now(UTC)):
            raise Unauthenticated(
                f"This key expired at {key.expires_at:%Y-%m-%d %H:%M} UTC: ask for a new one.",
                challenge=_INVALID,
                reason="expired",
            )
        return key


def key_in(headers: Mapping[str, str]) -> str:
    """The text in these headers that may be a key; empty for none. No browser sends one by itself."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key", "").strip()


def _given(headers: Mapping[str, str], cookies: Mapping[str, str]) -> tuple[Kind, str]:
    text = key_in(headers)
    return ("key", text) if text else ("session", cookies.get(SESSION_COOKIE, ""))


def _name(kind: Kind, text: str) -> bytes:
    return hashlib.sha256(f"{kind} {text}".encode()).digest()


def _address(request: Request) -> str:
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    # Whoever has one IPv6 address has the 2^64 beside it.
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else host
