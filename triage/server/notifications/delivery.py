"""Delivery of a message: one signed POST, its outcome, and where messages may go.

A subscription's URL must not give access to the service's own network (SSRF). The IP address is checked when
connecting, because a name may resolve differently each time (DNS rebinding). The URL is checked too, so that mistakes
are reported when the subscription is created.
"""

from __future__ import annotations

import http
import ipaddress
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal, NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver
from standardwebhooks.webhooks import Webhook
from yarl import URL

from triage import __version__
from triage.domain.errors import InvalidInput

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
    """Sends messages. `private` allows receivers in private networks and without TLS.

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


_SCHEMES = ("http", "https")
_MOST_CHARACTERS = 2_000
_IPV4_MAPPED = ipaddress.ip_network("::ffff:0:0/96")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_IPV6_REFUSED = [
    ipaddress.ip_network(network)
    for network in (
        "2002::/16",  # 6to4, RFC 3056: carries an IPv4 address to a relay
        "2001::/32",  # Teredo, RFC 4380: likewise
        "2001:db8::/32",  # documentation, RFC 3849
        "3fff::/20",  # documentation, RFC 9637
    )
]
_IPV4_REFUSED = [
    ipaddress.ip_network(network)
    for network in (
        "192.88.99.0/24",  # relays of 6to4, RFC 7526
        "168.63.129.16/32",  # the platform's agent on Azure, at a public address
    )
]
# The metadata services of large clouds, which hand out credentials: never a receiver, even in private networks.
_METADATA = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")))


class RefusedAddress(OSError):
    """A connection to an address that messages must not go to."""


def is_allowed(address: str, *, private: bool = False) -> bool:
    """True if messages may go to this IP address: a public one, or with `private` one of a private network.

    Link-local, multicast, unspecified and reserved addresses are always refused, and so is text that is no address.
    """
    try:
        ip = _plain(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    # 0.0.0.0/8 and the unspecified :: reach this machine.
    if ip in _METADATA or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return False
    if private and (ip.is_loopback or _is_private_network(ip)):
        return True
    if isinstance(ip, IPv4Address):
        return ip.is_global and not any(ip in network for network in _IPV4_REFUSED)
    return ip.is_global and ip in _GLOBAL_UNICAST and not any(ip in network for network in _IPV6_REFUSED)


def guarded_socket(*, private: bool) -> Any:
    """A socket factory for aiohttp's connector, which calls it with each address before connecting."""

    def make(address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, place = address
        if not is_allowed(str(place[0]), private=private):
            raise RefusedAddress(f"{place[0]} {_reason(private=private)}")
        opened = socket.socket(family=family, type=kind, proto=protocol)
        opened.setblocking(False)
        return opened

    return make


def check_url(url: str, *, private: bool = False) -> str:
    """`url`, if messages may be sent to it. Raises `InvalidInput` with the reason.

    `https` is required; `private` allows `http` too. A host name may still be refused when connecting.
    """

    def invalid(why: str) -> InvalidInput:
        return InvalidInput(f"The URL {why}.", field="url")

    if len(url) > _MOST_CHARACTERS:
        raise invalid(f"is longer than {_MOST_CHARACTERS:,} characters")
    if any(c.isspace() or not c.isprintable() for c in url):
        raise invalid("contains white space or control characters")
    try:
        # The client uses the same parser: two parsers may see different hosts in one URL.
        parsed = URL(url)
        host, port = parsed.host, parsed.port
    except ValueError as error:
        raise invalid(f"can't be read ({error})") from error
    if parsed.scheme not in _SCHEMES or not host or not port:
        raise invalid("must be absolute and begin with https://")
    if parsed.scheme == "http" and not private:
        raise invalid(
            "must begin with https://, so that messages are encrypted (TRIAGE_PRIVATE_WEBHOOKS=true allows http)"
        )
    if parsed.user is not None or parsed.password is not None:
        raise invalid("contains a user name or password: leave them out, messages are signed")
    if parsed.fragment:
        raise invalid("has a fragment (#...), which is never sent")
    literal = _literal(host)
    if literal is not None and not is_allowed(literal, private=private):
        raise invalid(f"leads to {host}, which {_reason(private=private)}")
    return url


def _reason(*, private: bool) -> str:
    if private:
        return "is an address that messages must not go to, even with TRIAGE_PRIVATE_WEBHOOKS=true"
    return (
        "is an address that messages must not go to: use a public one, or set TRIAGE_PRIVATE_WEBHOOKS=true if the "
        "receivers are in your own network"
    )


def _plain(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside an IPv6 address (IPv4-mapped, NAT64), else the address itself."""
    if isinstance(ip, IPv6Address) and (ip in _IPV4_MAPPED or ip in _NAT64):
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip


def _is_private_network(ip: IPv4Address | IPv6Address) -> bool:
    networks = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
    return any(ip in network for network in map(ipaddress.ip_network, networks) if network.version == ip.version)


def _literal(host: str) -> str | None:
    """The IP address in `host`, also in forms that only `inet_aton` reads (2130706433, 0x7f.1), or None."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host)) if host[0].isdigit() else None
    except OSError:
        return None
