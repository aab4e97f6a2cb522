from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from tests.server.notifications.receiver import receiving
from triage.domain.errors import InvalidInput
from triage.server.notifications.delivery import Courier, check_url, is_allowed

PUBLIC = ("8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8")
PRIVATE = ("127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1", "fc00::1")
NEVER = (
    "169.254.169.254",  # credentials of the machine, with most clouds
    "169.254.1.1",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "fe80::1",
    "fe80::1%eth0",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "224.0.0.1",
    "239.255.255.250",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "192.88.99.1",
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
    "64:ff9b::a9fe:a9fe",  # NAT64 of 169.254.169.254
    "64:ff9b:1::a00:1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "fec0::1",
    "5f00::1",
    "no address",
    "",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(address)
    assert is_allowed(address, private=True)


@pytest.mark.parametrize("address", [*PRIVATE, "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1"])
def test_private_addresses_are_allowed_only_where_that_was_set(address: str) -> None:
    assert not is_allowed(address)
    assert is_allowed(address, private=True)


@pytest.mark.parametrize("address", NEVER)
def test_these_addresses_are_refused_in_any_case(address: str) -> None:
    assert not is_allowed(address)
    assert not is_allowed(address, private=True)


@given(st.ip_addresses())
def test_whatever_is_allowed_is_a_global_unicast_address(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if is_allowed(str(ip)):
        mapped = getattr(ip, "ipv4_mapped", None)
        assert (mapped or ip).is_global
        assert not ip.is_multicast
    if isinstance(ip, ipaddress.IPv4Address):
        assert is_allowed(f"::ffff:{ip}") == is_allowed(str(ip))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/hook", "must begin with https"),
        ("ftp://example.com/hook", "must be absolute"),
        ("file:///etc/passwd", "must be absolute"),
        ("gopher://example.com:70/", "must be absolute"),
        ("//example.com/hook", "must be absolute"),
        ("https:///hook", "must be absolute|can't be read"),
        ("https://ada:secret@example.com/hook", "user name or password"),
        ("https://ada@example.com/hook", "user name or password"),
        ("https://example.com/hook#part", "fragment"),
        ("https://example.com/a b", "white space"),
        ("https://example.com/\r\nHost:x", "white space"),
        ("https://example.com:99999/", "can't be read"),
        ("https://example.com/" + "a" * 2_000, "longer than"),
        ("https://127.0.0.1/hook", "leads to 127.0.0.1"),
        ("https://[::1]/hook", "leads to ::1"),
        ("https://[::ffff:169.254.169.254]/hook", "an address that messages"),
        ("https://[fe80::1%25eth0]/hook", "an address that messages|can't be read"),
        ("https://2130706433/hook", "leads to 2130706433"),
        ("https://0x7f000001/hook", "leads to 0x7f000001"),
        ("https://0177.0.0.1/hook", "leads to 0177.0.0.1"),
        ("https://127.1/hook", "leads to 127.1"),
        ("https://169.254.43518/latest", "leads to 169.254.43518"),
    ],
)
def test_a_url_that_messages_may_not_go_to_is_told_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        check_url(url)


def test_what_stays_refused_in_private_networks_is_not_told_to_be_allowed_there() -> None:
    with pytest.raises(InvalidInput, match="even with TRIAGE_PRIVATE_WEBHOOKS=true"):
        check_url("http://169.254.169.254/latest", private=True)


@pytest.mark.parametrize(
    "url",
    ["https://example.com", "https://example.com:8443/a?b=c", "https://[2606:4700:4700::1111]/", "https://ä.example/"],
)
def test_a_public_https_url_is_fine(url: str) -> None:
    assert check_url(url) == url


def test_with_private_receivers_plain_http_will_do() -> None:
    assert check_url("http://10.0.0.7:8080/hook", private=True)
    with pytest.raises(InvalidInput, match="TRIAGE_PRIVATE_WEBHOOKS"):
        check_url("https://10.0.0.7/hook")
    with pytest.raises(InvalidInput, match=r"leads to 169\.254\.169\.254"):
        check_url("http://169.254.169.254/latest/meta-data", private=True)


class Names(AbstractResolver):
    """Resolves any name to the next of `answers`, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0.0.0.0"])
async def test_a_name_that_leads_to_a_refused_address_is_not_connected_to(address: str) -> None:
    courier = Courier(resolver=Names([address]), timeout_s=3)
    outcome = await courier.send("https://receiver.example/hook", b"{}", {})
    await courier.aclose()
    assert outcome.result == "again"
    assert f"{address} is an address that messages must not go to" in outcome.detail


async def test_a_name_that_leads_elsewhere_later_is_looked_at_again() -> None:
    async with receiving(lambda _: web.Response(headers={"Connection": "close"})) as receiver:
        port = receiver.url.rsplit(":", 1)[1]
        courier = Courier(private=True, resolver=Names(["127.0.0.1"], ["169.254.169.254"]), timeout_s=3)
        first = await courier.send(f"http://receiver.example:{port}", b"{}", {})
        second = await courier.send(f"http://receiver.example:{port}", b"{}", {})
        await courier.aclose()
    assert (first.result, second.result) == ("delivered", "again")
    assert "169.254.169.254 is an address" in second.detail
    assert len(receiver.bodies) == 1


async def test_of_several_addresses_only_the_allowed_ones_are_connected_to() -> None:
    async with receiving() as receiver:
        port = receiver.url.rsplit(":", 1)[1]
        courier = Courier(private=True, resolver=Names(["169.254.169.254", "127.0.0.1"]), timeout_s=3)
        outcome = await courier.send(f"http://receiver.example:{port}", b"{}", {})
        await courier.aclose()
    assert outcome.result == "delivered"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "localhost"])
async def test_the_service_itself_is_not_reached(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the look at the URL were not there: what is connected to is judged on its own.
    monkeypatch.setattr("triage.server.notifications.delivery.check_url", lambda url, **_: url)
    async with receiving() as receiver:
        port = receiver.url.rsplit(":", 1)[1]
        courier = Courier(timeout_s=3)
        outcome = await courier.send(f"http://{host}:{port}", b"{}", {})
        await courier.aclose()
    assert outcome.result == "again"
    assert receiver.bodies == []


async def test_a_redirect_is_not_followed() -> None:
    async with receiving() as inside:
        answer = web.Response(status=307, headers={"Location": inside.url})
        async with receiving(lambda _: answer) as outside:
            courier = Courier(private=True, timeout_s=3)
            outcome = await courier.send(outside.url, b"{}", {})
            await courier.aclose()
    assert outcome.result == "again"
    assert "redirects are not followed" in outcome.detail
    assert (len(outside.bodies), len(inside.bodies)) == (1, 0)


@pytest.mark.parametrize("said", [b"SSH-2.0-banner\r\n", b"HTTP/1.1 200 OK\r\nbanner\x00: x\r\n\r\n"])
async def test_nothing_of_the_answer_or_the_url_comes_out_again(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        courier = Courier(private=True, timeout_s=3)
        outcome = await courier.send(f"http://127.0.0.1:{port}/services/hidden", b"{}", {})
        await courier.aclose()
    assert (outcome.result, outcome.detail) == ("again", "the receiver's answer is not valid HTTP")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        courier = Courier(private=True, timeout_s=3)
        outcome = await courier.send(receiver.url, b"{}", {})
        await courier.aclose()
    assert outcome.result == "delivered"
    assert (len(receiver.bodies), len(proxy.bodies)) == (1, 0)
