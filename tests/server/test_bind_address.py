from __future__ import annotations

import pytest

from triage.domain.errors import MisconfiguredService
from triage.server.bind_address import needs_keys


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_on_loopback_keys_are_asked_for_only_where_wanted(host: str) -> None:
    assert [needs_keys(host, auth) for auth in ("auto", "off", "on")] == [False, False, True]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "triage.example", "", "127.0.0.1.example"])
def test_elsewhere_keys_are_always_asked_for(host: str) -> None:
    assert [needs_keys(host, auth) for auth in ("auto", "on")] == [True, True]
    with pytest.raises(MisconfiguredService, match="TRIAGE_AUTH is off"):
        needs_keys(host, "off")
