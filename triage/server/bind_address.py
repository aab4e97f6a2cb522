"""Where the service listens, and whether it may be asked without a key there."""

from __future__ import annotations

import ipaddress
from typing import Literal

from triage.domain.errors import MisconfiguredService


def is_loopback(host: str) -> bool:
    """True if only this machine reaches the address.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.2", "::1", "[::1]", "0.0.0.0", "example.org", "")]
    [True, True, True, True, False, False, False]
    """
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def needs_keys(host: str, auth: Literal["auto", "on", "off"]) -> bool:
    """Whether a service that listens on `host` asks for keys: with `auto` everywhere but on loopback.

    Raises `MisconfiguredService` where others could reach it without one.
    """
    if auth == "off" and not is_loopback(host):
        raise MisconfiguredService(
            f"TRIAGE_AUTH is off and the service would listen on {host}: whoever reaches that address could read, "
            "change and delete everything. Leave TRIAGE_AUTH out and make keys with `triage keys create`, or listen on "
            "127.0.0.1.",
            setting="TRIAGE_AUTH",
        )
    return auth == "on" or (auth == "auto" and not is_loopback(host))
