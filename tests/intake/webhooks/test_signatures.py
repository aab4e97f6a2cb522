from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from triage.domain.errors import InvalidInput
from triage.intake.webhooks import PROVIDERS, BadSignature

BODY = b'{"any": "body", "\xc3\xa4": 1}'
SECRET = "whsec_" + "c2VjcmV0IG9mIDMyIHJhbmRvbSBieXRlcyBpbiBoZXJl"
NOW = 1_772_442_750.0


def hexed(content: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def standard(at: float = NOW, prefix: str = "webhook", body: bytes = BODY) -> dict[str, str]:
    signature = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(at, UTC), body.decode())
    return {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": f"{int(at)}", f"{prefix}-signature": signature}


def grafana(at: float | None = NOW, body: bytes = BODY) -> dict[str, str]:
    if at is None:
        return {"x-grafana-alerting-signature": hexed(body)}
    signature = hexed(f"{int(at)}:".encode() + body)
    return {"x-grafana-alerting-signature": signature, "x-grafana-alerting-timestamp": f"{int(at)}"}


def signed(kind: str) -> dict[str, str]:
    return {
        "generic": standard(),
        "incident_io": standard(prefix="svix"),
        "grafana": grafana(),
        "pagerduty": {"x-pagerduty-signature": f"v1={hexed(BODY)}"},
        "alertmanager": {"authorization": f"Bearer {SECRET}"},
    }[kind]


@pytest.mark.parametrize("kind", PROVIDERS)
def test_what_is_signed_with_the_secret_is_accepted(kind: str) -> None:
    PROVIDERS[kind].verify(SECRET, signed(kind), BODY, NOW)


@pytest.mark.parametrize("kind", PROVIDERS)
def test_without_a_signature_or_with_another_secret_it_is_refused(kind: str) -> None:
    other = "whsec_" + "YW5vdGhlciBzZWNyZXQgb2YgMzIgcmFuZG9tIGJ5dGVz"
    for headers, secret in (({}, SECRET), (signed(kind), other)):
        with pytest.raises(BadSignature) as told:
            PROVIDERS[kind].verify(secret, headers, BODY, NOW)
        assert told.value.data == {"part": "signature"}


@pytest.mark.parametrize("kind", sorted(set(PROVIDERS) - {"alertmanager"}))
def test_another_body_is_refused(kind: str) -> None:
    with pytest.raises(BadSignature, match="signature"):
        PROVIDERS[kind].verify(SECRET, signed(kind), BODY + b" ", NOW)


@pytest.mark.parametrize(("offset", "is_fine"), [(0, True), (-299, True), (299, True), (-302, False), (302, False)])
@pytest.mark.parametrize("make", [standard, grafana])
def test_a_signed_time_must_be_near_in_both_directions(make: object, offset: int, is_fine: bool) -> None:
    kind = "generic" if make is standard else "grafana"
    headers = make(NOW + offset)  # type: ignore[operator]
    if is_fine:
        PROVIDERS[kind].verify(SECRET, headers, BODY, NOW)
        return
    with pytest.raises(BadSignature, match="clocks of both machines") as told:
        PROVIDERS[kind].verify(SECRET, headers, BODY, NOW)
    assert told.value.data == {"part": "timestamp"}


def test_a_time_can_not_be_changed_or_taken_away_after_signing() -> None:
    old = standard(NOW - 3_600)
    with pytest.raises(BadSignature, match="signature"):
        PROVIDERS["generic"].verify(SECRET, old | {"webhook-timestamp": f"{int(NOW)}"}, BODY, NOW)
    with pytest.raises(BadSignature, match="signature"):
        PROVIDERS["generic"].verify(SECRET, standard() | {"webhook-id": "msg_2"}, BODY, NOW)
    stripped = grafana(NOW - 3_600)
    del stripped["x-grafana-alerting-timestamp"]
    with pytest.raises(BadSignature, match="signature"):
        PROVIDERS["grafana"].verify(SECRET, stripped, BODY, NOW)


def test_grafana_without_a_timestamp_header_is_accepted() -> None:
    PROVIDERS["grafana"].verify(SECRET, grafana(None), BODY, NOW)


def test_one_of_several_signatures_will_do() -> None:
    PROVIDERS["pagerduty"].verify(SECRET, {"x-pagerduty-signature": f"v1={'0' * 64}, v1={hexed(BODY)}"}, BODY, NOW)
    headers = standard()
    headers["webhook-signature"] = f"v1a,other v1,AAAA {headers['webhook-signature']}"
    PROVIDERS["generic"].verify(SECRET, headers, BODY, NOW)


@pytest.mark.parametrize("kind", ["generic", "incident_io"])
def test_an_empty_key_signs_nothing(kind: str) -> None:
    digest = hmac.new(b"", b"msg_1." + f"{int(NOW)}".encode() + b"." + BODY, hashlib.sha256).digest()
    forged = "v1," + base64.b64encode(digest).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": f"{int(NOW)}", "webhook-signature": forged}
    with pytest.raises(BadSignature):
        PROVIDERS[kind].verify("whsec_", headers, BODY, NOW)


NAMES = st.sampled_from(
    [
        "authorization",
        "x-pagerduty-signature",
        "x-grafana-alerting-signature",
        "x-grafana-alerting-timestamp",
        *(f"{prefix}-{part}" for prefix in ("webhook", "svix") for part in ("id", "timestamp", "signature")),
    ]
)


@given(st.sampled_from(sorted(PROVIDERS)), st.dictionaries(NAMES, st.text(max_size=60)), st.binary(max_size=50))
def test_no_header_gets_past_or_breaks_it(kind: str, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(BadSignature):
        PROVIDERS[kind].verify(SECRET, headers, body, NOW)


@pytest.mark.parametrize(
    ("kind", "secret"),
    [
        ("pagerduty", "short"),
        ("pagerduty", "with space in the middle"),
        ("grafana", "ü" * 20),
        ("incident_io", "whsec_abc=" * 2),
        ("generic", "?" * 40),
    ],
)
def test_a_secret_that_can_not_be_one_is_refused(kind: str, secret: str) -> None:
    with pytest.raises(InvalidInput, match="secret"):
        PROVIDERS[kind].check_secret(secret)


def test_a_good_secret_is_fine() -> None:
    assert PROVIDERS["incident_io"].check_secret(SECRET) == SECRET
    assert PROVIDERS["pagerduty"].check_secret("q" * 40) == "q" * 40
