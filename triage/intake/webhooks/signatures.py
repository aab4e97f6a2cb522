"""Signatures of webhooks, compared in constant time.

The signature is checked before the timestamp that it covers, so that senders without the secret learn nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from triage.domain.errors import InvalidInput, TriageError

TOLERANCE_S = 300
"""How far a signed timestamp may be in the past or the future."""

_SHORTEST_KEY = 16


class BadSignature(TriageError):
    """A webhook that is not signed with its source's secret, or not recently. `part` is all that the answer reveals."""

    status = 401
    title = "The webhook is not accepted"

    def __init__(self, part: str) -> None:
        details = {
            "signature": "The signature is missing or wrong: check the URL and the secret on both sides.",
            "timestamp": f"The timestamp is more than {TOLERANCE_S // 60} minutes from this service's time: compare "
            "the clocks of both machines, and sign a message anew before sending it again.",
        }
        super().__init__(details[part], part=part)


def check_secret(secret: str) -> str:
    """`secret`, if it can be sent in headers and is long enough. Raises `InvalidInput`."""
    if not 16 <= len(secret) <= 500 or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise InvalidInput("The secret must be 16 to 500 printable ASCII characters, without spaces.", field="secret")
    return secret


def check_standard_secret(secret: str) -> str:
    """`secret`, if it is one of Standard Webhooks. Raises `InvalidInput`."""
    if len(_standard_key(check_secret(secret))) < _SHORTEST_KEY:
        raise InvalidInput(
            "The secret must be the one that the sender shows: 'whsec_' followed by Base64.", field="secret"
        )
    return secret


def verify_bearer(secret: str, headers: Mapping[str, str], _body: bytes, _now: float) -> None:
    """The secret itself as a bearer token, which signs nothing: a resent message is known by its incident's id only."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    require(is_same(token.strip(), secret) and scheme.lower() == "bearer")


def verify_standard(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Standard Webhooks 1.0; senders that use Svix may name the headers `svix-`."""
    prefix = "webhook-" if "webhook-signature" in headers else "svix-"
    message_id, timestamp = headers.get(f"{prefix}id", ""), headers.get(f"{prefix}timestamp", "")
    key = _standard_key(secret)
    signed = message_id.encode() + b"." + timestamp.encode() + b"." + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    signatures = headers.get(f"{prefix}signature", "").split()
    require(any(is_same(each, f"v1,{expected}") for each in signatures[:20]) and bool(message_id and key))
    require_recent(timestamp, now)


def require(is_right: bool) -> None:
    """Raise `BadSignature` unless the signature is right."""
    if not is_right:
        raise BadSignature("signature")


def require_recent(timestamp: str, now: float) -> None:
    """Raise `BadSignature` unless the signed timestamp, in Unix seconds, is within `TOLERANCE_S` of `now`."""
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 15
    if not is_number or abs(now - int(timestamp)) > TOLERANCE_S:
        raise BadSignature("timestamp")


def is_same(signature: str, expected: str) -> bool:
    """Whether two texts are equal, in constant time."""
    return hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode())


def hmac_hex(secret: str, content: bytes) -> str:
    """HMAC-SHA256 in hexadecimal."""
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def _standard_key(secret: str) -> bytes:
    """The key in a secret of Standard Webhooks; empty for other secrets."""
    try:
        return base64.b64decode(secret.removeprefix("whsec_") + "==")
    except (binascii.Error, ValueError):
        return b""
