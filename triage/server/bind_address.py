"""The address the service listens on, and whether requests there need keys."""

from __future__ import annotations

import ipaddress
from typing import Literal

from triage.domain.errors import MisconfiguredService


def is_loopback(host: str) -> bool:
    """True if only this machine can reach the address.

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
    """Whether a service on `host` requires keys: with `auto`, everywhere except on loopback.

    Raises `MisconfiguredService` if other machines could reach it without a key.
    """
    if auth == "off" and not is_loopback(host):
        raise MisconfiguredService(
            f"TRIAGE_AUTH is off and the service would listen on {host}: anyone who reaches that address could read, "
            "change and delete everything. Remove TRIAGE_AUTH and create keys with `triage keys create`, or listen on "
            "127.0.0.1.",
            setting="TRIAGE_AUTH",
        )
    return auth == "on" or (auth == "auto" and not is_loopback(host))
