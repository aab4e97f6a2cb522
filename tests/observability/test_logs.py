"""Lines of the log, as programs and people read them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from triage.observability import logs
from triage.observability.logs import Masking


class Typed(BaseModel):
    number: int


@pytest.fixture
def as_before() -> Iterator[None]:
    """The root logger's handlers and the level of all loggers that are set up, put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    access, filters = logging.getLogger(logs.ACCESS).level, logging.getLogger("dbos").filters[:]
    yield
    logging.getLogger("dbos").filters[:] = filters
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger(logs.ACCESS).setLevel(access)


def test_a_line_is_one_json_object_with_the_ids_of_what_it_is_about(as_before: None) -> None:
    stream = io.StringIO()
    logs.set_up("json", "info", stream)
    with logs.about_incident("inc-1"):
        logging.getLogger("triage.server.jobs").warning("two\nlines of %s", "text", extra={"attempt": 2})
    logging.getLogger("triage.server.jobs").info("after")
    logging.getLogger("triage.server.jobs").debug("too fine")
    first, second = map(json.loads, stream.getvalue().splitlines())

    assert first["time"].endswith("Z")
    assert first | {"time": ""} == {
        "time": "",
        "level": "warning",
        "logger": "triage.server.jobs",
        "message": "two\nlines of text",
        "incident_id": "inc-1",
        "attempt": 2,
    }
    assert "incident_id" not in second


def test_text_has_the_ids_behind_the_message(as_before: None) -> None:
    stream = io.StringIO()
    logs.set_up("text", "info", stream)
    with logs.about_incident("inc-1"):
        logging.getLogger("triage.server.jobs").warning("failed")

    assert stream.getvalue().endswith("WARNING triage.server.jobs: failed [incident_id=inc-1]\n")


@pytest.mark.parametrize(
    ("log_format", "level", "is_told"), [("json", "info", True), ("text", "info", False), ("text", "debug", True)]
)
def test_requests_are_told_of_where_programs_read(as_before: None, log_format: str, level: str, is_told: bool) -> None:
    stream = io.StringIO()
    logs.set_up(log_format, level, stream)  # type: ignore[arg-type]
    logging.getLogger(logs.ACCESS).info("GET /v1/incidents 200")

    assert bool(stream.getvalue()) is is_told


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_traceback_does_not_quote_the_input_that_was_wrong(as_before: None, log_format: str) -> None:
    stream = io.StringIO()
    logs.set_up(log_format, "info", stream)  # type: ignore[arg-type]
    posted = {"number": "zanzi" + "bar"}
    try:
        try:
            Typed.model_validate(posted)
        except ValueError as error:
            raise RuntimeError("no triage") from error
    except RuntimeError:
        logging.getLogger("triage.server.jobs").exception("failed")

    assert "zanzibar" not in stream.getvalue()
    assert "int_parsing" in stream.getvalue()
    assert "RuntimeError: no triage" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_secret_is_masked_in_tracebacks_and_extras_too(as_before: None, log_format: str) -> None:
    stream = io.StringIO()
    logs.set_up(log_format, "info", stream, hidden=["provider-key-1"])  # type: ignore[arg-type]
    hidden = "provider-key-" + str(1)
    try:
        raise RuntimeError(f"{hidden} is refused by postgresql://me:{'hunter' + '2'}@db/triage")
    except RuntimeError:
        logging.getLogger("triage.server.jobs").exception("failed", extra={"sent": hidden})

    assert hidden not in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert "RuntimeError: *** is refused by postgresql://me:***@db/triage" in stream.getvalue()


def test_no_message_looks_like_a_line_of_its_own_or_speaks_to_the_terminal(as_before: None) -> None:
    stream = io.StringIO()
    logs.set_up("text", "info", stream)
    logging.getLogger("triage.server.jobs").warning("failed\n2026-01-01 ERROR forged\r\x1b[2J")

    first, second = stream.getvalue().splitlines()
    assert first.endswith("WARNING triage.server.jobs: failed")
    assert second == "  2026-01-01 ERROR forged\\r\\x1b[2J"


@given(st.text(max_size=100))
def test_an_id_of_a_request_is_always_short_and_plain(given_id: str) -> None:
    kept = logs.sane_id(given_id)

    assert logs.sane_id(kept) == kept
    assert 1 <= len(kept) <= 64
    assert kept.isascii()
    assert not set(kept) & set(" \n\"'{}<>")


def test_a_callers_id_of_a_request_is_kept() -> None:
    assert logs.sane_id("Run-7:a.b_c") == "Run-7:a.b_c"
    assert logs.sane_id(None) != logs.sane_id(None)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_secret_in_a_traceback_is_masked(as_before: None, log_format: str) -> None:
    stream = io.StringIO()
    logs.set_up(log_format, "info", stream, hidden=["hunter2hunter2"])
    try:
        raise RuntimeError("no way to hunter2hunter2")
    except RuntimeError:
        logging.getLogger("triage").exception("It failed")
    assert "RuntimeError" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_what_a_library_repeats_is_told_once_in_a_while() -> None:
    seldom = logs.Seldom(every_s=30)

    def told(message: str, at: float) -> bool:
        record = logging.makeLogRecord({"msg": message, "created": at})
        return seldom.filter(record)

    assert [told("the database is away", at) for at in (0.0, 1.0, 29.0, 30.0, 31.0)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert told("something else", 31.0)


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
