from __future__ import annotations

import io
import logging

import pytest

from triage.observability.masking import Masking

KEY = "triage_0123456789ab_" + "s3cret-_" * 5 + "abc"


def logged(message: str, *args: object, error: Exception | None = None, secrets: tuple[str, ...] = ()) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(Masking(secrets))
    logger = logging.getLogger("tests.masking")
    logger.propagate = False
    logger.addHandler(handler)
    logger.error(message, *args, exc_info=error)
    logger.removeHandler(handler)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("message", "secret", "left"),
    [
        (f"got {KEY}", KEY[20:], "triage_0123456789ab_***"),
        (f"Authorization: Bearer {KEY}", KEY[20:], "Authorization: Bearer"),
        ("{'authorization': 'bearer abcdefghij.klm'}", "abcdefghij", "authorization"),
        ("Authorization: Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy", "Basic ***"),
        ("X-API-Key: hunter22", "hunter22", "X-API-Key: ***"),
        ("(b'x-api-key', b'hunter22')", "hunter22", "x-api-key"),
        ("postgresql+psycopg://me:hunter2@db/triage failed", "hunter2", "://me:***@db/triage failed"),
        ("redis://:hunter2@db", "hunter2", "://:***@db"),
        ("wrong key: provider-key-1", "provider-key-1", "wrong key: ***"),
    ],
)
def test_a_secret_is_not_logged_wherever_it_stands(message: str, secret: str, left: str) -> None:
    for written in (
        logged(message, secrets=("provider-key-1", "")),
        logged("%s", message, secrets=("provider-key-1",)),
        logged("failed", error=ValueError(message), secrets=("provider-key-1",)),
    ):
        assert secret not in written
        assert left in written


def test_what_is_no_secret_is_logged_as_it_is() -> None:
    for message in ("GET http://127.0.0.1:8350/v1/incidents 200", "The bearer of bad news", "100% of a, b: 3"):
        assert logged(message) == f"{message}\n"
