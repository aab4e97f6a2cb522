"""Delivery of a message: one signed POST, and its outcome."""

from __future__ import annotations

import http
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver
from standardwebhooks.webhooks import Webhook

from triage import __version__
from triage.domain.errors import InvalidInput
from triage.server.notifications.addresses import check_url, guarded_socket

_LONGEST_RETRY_AFTER_S = 86_400.0
_PHRASES = {status.value: status.phrase for status in http.HTTPStatus}


class Outcome(NamedTuple):
    """The outcome of a delivery. `gone`: the receiver wants no more messages. `detail` is for people."""

    result: Literal["delivered", "again", "gone"]
    detail: str
    status: int | None = None
    retry_after_s: float | None = None
    seconds: float = 0.0


class Courier:
    """Sends messages. `private` allows receivers in private networks and without TLS; see `addresses`.

    It ignores the environment's proxies, follows no redirects, stores no cookies and reads only the status of answers,
    so that none of them leads elsewhere or reveals anything.
    """

    def __init__(
        self, *, private: bool = False, timeout_s: float = 15.0, resolver: AbstractResolver | None = None
    ) -> None:
        self.private = private
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._timeout_s = timeout_s
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Post `body` to `url`. Failures are part of the outcome."""
        began = time.monotonic()
        try:
            check_url(url, private=self.private)
            async with self._open().post(url, data=body, headers=headers, allow_redirects=False) as response:
                outcome = _judge(response.status, response.headers.get("retry-after"))
        except InvalidInput as error:
            outcome = Outcome("again", error.detail)
        except TimeoutError:
            outcome = Outcome("again", f"no answer within {self._timeout_s:g} s")
        except aiohttp.ClientConnectorError as error:
            outcome = Outcome("again", f"no connection: {error.os_error}"[:500])
        except aiohttp.ClientResponseError:
            # Its message quotes the receiver's answer, and the URL, which may be a secret.
            outcome = Outcome("again", "the receiver's answer is not valid HTTP")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            outcome = Outcome("again", f"{type(error).__name__}: {error}"[:500])
        return outcome._replace(seconds=round(time.monotonic() - began, 3))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(
                limit=0,  # the notifier limits deliveries; a hanging receiver must not use up a pool
                resolver=self._resolver,
                use_dns_cache=False,
                socket_factory=guarded_socket(private=self.private),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"triage/{__version__}", "Content-Type": "application/json"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def signed(secrets: Sequence[str], message_id: str, body: bytes, now: datetime | None = None) -> dict[str, str]:
    """The headers of Standard Webhooks, with one signature for each secret."""
    moment = now or datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": f"{int(moment.timestamp())}",
        "webhook-signature": " ".join(Webhook(s).sign(message_id, moment, body.decode()) for s in secrets),
    }


def _judge(status: int, retry_after: str | None) -> Outcome:
    answer = f"{status} {_PHRASES.get(status, '')}".strip()
    if 200 <= status < 300:
        return Outcome("delivered", answer, status)
    if status == http.HTTPStatus.GONE:
        return Outcome("gone", f"{answer}: the receiver wants no more messages", status)
    if 300 <= status < 400:
        return Outcome("again", f"{answer}: redirects are not followed, subscribe the final URL", status)
    return Outcome("again", answer, status, _seconds(retry_after))


def _seconds(retry_after: str | None) -> float | None:
    """The seconds of a Retry-After header, a number or a date, at most a day; None without one."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal() and len(retry_after) < 12:
        seconds = float(retry_after)
    else:
        try:
            moment = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S)
