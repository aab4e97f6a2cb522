"""Who makes a request: keys and sessions, cached for a few seconds, and rate limits per caller."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from fastapi import Request

from triage.domain.principal import EVERYONE, Principal, TooManyRequests, Unauthenticated
from triage.store.keys import Key, Keys, Sessions

CACHED_S = 3.0
"""A revoked key stops working within this time, in every process."""

SESSION_COOKIE = "triage_session"
"""The browser's session after login, see `triage/server/web/login.py`."""

_MOST_CACHED = 10_000
_MOST_CALLERS = 10_000
_INVALID = ', error="invalid_token"'

Kind = Literal["key", "session"]

_NOT_VALID: dict[Kind, str] = {
    "key": "This key is not valid: it is incomplete, unknown or revoked.",
    "session": "This session has ended: give your key again.",
}


class AccessOptions(NamedTuple):
    """With `is_on`, requests need a key. `requests_per_minute` applies to keys without a limit of their own.

    `failures_per_minute` is how often one address may come without a valid key.
    """

    is_on: bool = False
    requests_per_minute: int = 600
    failures_per_minute: int = 30


class Authenticator:
    """Identifies the caller of a request. One per process."""

    def __init__(self, keys: Keys, sessions: Sessions, options: AccessOptions) -> None:
        self.is_on = options.is_on
        self._keys = keys
        self._sessions = sessions
        self._options = options
        self._cached: dict[bytes, tuple[float, Key]] = {}
        self._requests = RateLimiter()
        self._failures = RateLimiter()

    async def identify(self, request: Request) -> Principal:
        """The caller of the request, which counts towards their rate limit.

        Raises `Unauthenticated` for a missing or invalid key, and `TooManyRequests`. Unknown and revoked keys get the
        same error.
        """
        if not self.is_on:
            return EVERYONE
        return (await self._allowed(request, *_credentials(request.headers, request.cookies))).principal

    def has_credentials(self, request: Request) -> bool:
        """True if the request carries something that may be a key or a session."""
        return bool(_credentials(request.headers, request.cookies)[1])

    async def begin_session(self, request: Request, text: str) -> str:
        """The token of a new session for the owner of this key. Counts and raises as `identify` does."""
        return await self._sessions.create(await self._allowed(request, "key", text))

    async def end_session(self, token: str) -> None:
        """End a session: at once in this process, within `CACHED_S` in others."""
        await self._sessions.delete(token)
        self._cached.pop(_digest("session", token), None)

    async def _allowed(self, request: Request, kind: Kind, text: str) -> Key:
        try:
            key = await self._find(kind, text)
        except Unauthenticated:
            failures = self._failures.spend(_address(request), self._options.failures_per_minute)
            if failures.is_allowed:
                raise
            raise TooManyRequests(
                f"Too many requests without a valid key came from this address: try again in {failures.next_s} s.",
                failures.headers("failures"),
            ) from None
        limit = self._requests.spend(key.id, key.requests_per_minute or self._options.requests_per_minute)
        if not limit.is_allowed:
            raise TooManyRequests(
                f"This key may make {limit.per_minute} requests a minute: try again in {limit.next_s} s.",
                limit.headers("key"),
            )
        request.state.headers = limit.headers("key")
        return key

    async def _find(self, kind: Kind, text: str) -> Key:
        if not text:
            raise Unauthenticated(
                "This service needs a key: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
                reason="missing",
            )
        # The cache holds digests, so the key's text stays in memory for its request only.
        digest = _digest(kind, text)
        moment, key = self._cached.get(digest, (0.0, None))
        if key is None or time.monotonic() - moment >= CACHED_S:
            self._cached.pop(digest, None)
            moment = time.monotonic()
            key = await (self._keys.find(text) if kind == "key" else self._sessions.find(text))
            if key is None:
                raise Unauthenticated(_NOT_VALID[kind], challenge=_INVALID, reason="invalid")
            if len(self._cached) >= _MOST_CACHED:
                self._cached.clear()
            self._cached[digest] = moment, key
        if key.is_expired(datetime.now(UTC)):
            raise Unauthenticated(
                f"This key expired at {key.expires_at:%Y-%m-%d %H:%M} UTC: ask for a new one.",
                challenge=_INVALID,
                reason="expired",
            )
        return key


class RateLimit(NamedTuple):
    """A caller's limit after a request: requests left now, and seconds until the next one and until all are allowed."""

    is_allowed: bool
    per_minute: int
    remaining: int
    next_s: int
    full_s: int

    def headers(self, policy: str) -> dict[str, str]:
        """The headers of draft-ietf-httpapi-ratelimit-headers (draft 08 and later), and `Retry-After`."""
        headers = {
            "RateLimit-Policy": f'"{policy}";q={self.per_minute};w=60',
            "RateLimit": f'"{policy}";r={self.remaining};t={self.full_s}',
        }
        return headers if self.is_allowed else headers | {"Retry-After": str(self.next_s)}


class RateLimiter:
    """A token bucket for each caller, which holds one minute's requests and fills evenly.

    The buckets are in memory: N processes allow N times as much. The callers seen longest ago are dropped first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, caller: str, per_minute: int) -> RateLimit:
        """Take one request from the caller's bucket, if there is one."""
        now, rate = self._clock(), per_minute / 60
        level, since = self._buckets.pop(caller, (float(per_minute), now))
        level = min(per_minute, level + (now - since) * rate)
        is_allowed = level >= 1
        level -= is_allowed
        self._buckets[caller] = level, now
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        return RateLimit(
            is_allowed,
            per_minute,
            int(level),
            max(1, math.ceil((1 - level) / rate)),
            math.ceil((per_minute - level) / rate),
        )


def key_in(headers: Mapping[str, str]) -> str:
    """The key in these headers, or "". Browsers never send one by themselves."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key", "").strip()


def _credentials(headers: Mapping[str, str], cookies: Mapping[str, str]) -> tuple[Kind, str]:
    text = key_in(headers)
    return ("key", text) if text else ("session", cookies.get(SESSION_COOKIE, ""))


def _digest(kind: Kind, text: str) -> bytes:
    return hashlib.sha256(f"{kind} {text}".encode()).digest()


def _address(request: Request) -> str:
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    # One IPv6 host usually owns the whole /64 network.
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else host
