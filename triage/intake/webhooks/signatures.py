"""Whether a webhook is from whom it says: each sender's way of signing, compared in constant time.

The signature is looked at before the timestamp that it covers: whoever can't sign learns nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from triage.domain.errors import InvalidInput, TriageError

TOLERANCE_S = 300
"""How far a signed timestamp may lie in the past or in the future."""

GRAFANA_TIMESTAMP = "x-grafana-alerting-timestamp"
"""What the timestamp header is to be called in Grafana's settings; it has no name of its own."""

_STANDARD = ("generic", "incident_io")
_SHORTEST_KEY = 16


class BadSignature(TriageError):
    """A webhook that is not signed with the secret of its source, or not lately. `part` is all that is told."""

    status = 401
    title = "The webhook is not accepted"

    def __init__(self, part: str) -> None:
        details = {
            "signature": "The signature is missing or wrong: check the URL and the secret on both sides.",
            "timestamp": f"The timestamp is more than {TOLERANCE_S // 60} minutes from this service's time: compare "
            "the clocks of both machines, and send a message again only with a new signature.",
        }
        super().__init__(details[part], part=part)


def verify(kind: str, secret: str, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Raise `BadSignature` unless `body` came from who has `secret`. `headers` have lower-case names.

    `now` is in Unix seconds. PagerDuty signs no time and Alertmanager signs nothing: of a message of theirs that is
    sent again only the id of what is in it stays the same, and that makes it the same incident.
    """
    if kind in _STANDARD:
        _verify_standard(secret, headers, body, now)
    elif kind == "grafana":
        _verify_grafana(secret, headers, body, now)
    elif kind == "pagerduty":
        given = headers.get("x-pagerduty-signature", "")
        expected = f"v1={_hex(secret, body)}"
        _require(any(_same(one.strip(), expected) for one in given.split(",")))
    else:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        _require(_same(token.strip(), secret) and scheme.lower() == "bearer")


def check_secret(kind: str, secret: str) -> str:
    """`secret` if this kind of sender can have made it. Raises `InvalidInput`."""
    if len(secret) < 16 or len(secret) > 500 or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise InvalidInput("The secret must be 16 to 500 printable ASCII characters, without spaces.", field="secret")
    if kind in _STANDARD and len(_standard_key(secret)) < _SHORTEST_KEY:
        raise InvalidInput(
            "The secret must be the one that the sender shows: 'whsec_' and Base64 behind it.", field="secret"
        )
    return secret


def _verify_standard(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Standard Webhooks 1.0; senders that use Svix may call the headers `svix-`."""
    prefix = "webhook-" if "webhook-signature" in headers else "svix-"
    message_id, timestamp = headers.get(f"{prefix}id", ""), headers.get(f"{prefix}timestamp", "")
    signed = message_id.encode() + b"." + timestamp.encode() + b"." + body
    key = _standard_key(secret)
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = headers.get(f"{prefix}signature", "").split()
    _require(any(_same(one, f"v1,{expected}") for one in given[:20]) and bool(message_id and key))
    _require_recent(timestamp, now)


def _verify_grafana(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """HMAC of the body, or of timestamp, colon and body where the contact point has a timestamp header."""
    timestamp = headers.get(GRAFANA_TIMESTAMP)
    signed = body if timestamp is None else timestamp.encode() + b":" + body
    _require(_same(headers.get("x-grafana-alerting-signature", ""), _hex(secret, signed)))
    if timestamp is not None:
        _require_recent(timestamp, now)


def _require_recent(timestamp: str, now: float) -> None:
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 15
    if not is_number or abs(now - int(timestamp)) > TOLERANCE_S:
        raise BadSignature("timestamp")


def _require(is_right: bool) -> None:
    if not is_right:
        raise BadSignature("signature")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _hex(secret: str, content: bytes) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def _standard_key(secret: str) -> bytes:
    """The key of a secret of Standard Webhooks; empty for what is none."""
    try:
        return base64.b64decode(secret.removeprefix("whsec_") + "==")
    except (binascii.Error, ValueError):
        return b""
