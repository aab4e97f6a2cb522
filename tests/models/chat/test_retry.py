"""The retry layer: Retry-After, and errors of all client libraries."""

from __future__ import annotations

import asyncio
import math
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.domain.errors import ModelUnavailable
from triage.models.chat.gate import Gate
from triage.models.chat.retry import EMBEDDING, Retries, RetryPolicy, retry_after_s, status_of

NOW = 1_800_000_000.0
QUICK = RetryPolicy(attempts=3, first_wait_s=0.001, longest_wait_s=0.002)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": formatdate(NOW + 20, usegmt=True)}, 20.0),
        ({"retry-after": formatdate(NOW - 20, usegmt=True)}, 0.0),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, now=NOW) == seconds


@given(st.text())
def test_no_retry_after_breaks_the_reader(value: str) -> None:
    wait = retry_after_s({"retry-after": value})

    assert wait is None or wait >= 0


class ForeignError(Exception):
    """Another client library's error."""

    def __init__(self, code: int) -> None:
        super().__init__(f"status {code}")
        self.code = code


@pytest.mark.parametrize(("status", "calls"), [(500, 3), (429, 3), (409, 3), (400, 1), (403, 1), (404, 1)])
async def test_errors_of_all_libraries_are_judged_by_status(status: int, calls: int) -> None:
    made = 0

    async def call() -> None:
        nonlocal made
        made += 1
        raise ForeignError(status)

    with pytest.raises(ModelUnavailable) as raised:
        await Retries(policy=QUICK).call(call, 5)

    assert made == calls
    assert raised.value.data == {"status": status, "attempts": calls}


async def test_messages_name_the_settings_of_the_endpoint_that_was_called() -> None:
    async def call() -> None:
        raise ForeignError(404)

    with pytest.raises(ModelUnavailable, match="TRIAGE_EMBEDDING_MODEL and TRIAGE_EMBEDDING_BASE_URL"):
        await Retries(settings=EMBEDDING).call(call, 5)


async def test_a_programming_error_is_not_retried() -> None:
    made = 0

    async def call() -> None:
        nonlocal made
        made += 1
        raise KeyError("typo")

    with pytest.raises(ModelUnavailable, match="KeyError"):
        await Retries(policy=QUICK).call(call, 5)

    assert made == 1


def test_an_error_code_in_words_is_no_status() -> None:
    error = Exception()
    error.code = "rate_limited"  # type: ignore[attr-defined]

    assert status_of(error) is None


async def test_a_try_that_hangs_is_given_up_while_there_is_time_for_another() -> None:
    gate, tries = Gate(), 0

    async def call() -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            await asyncio.sleep(60)
        return "well"

    for _ in range(10):
        gate.record_duration(0.01)
    assert gate.hang_timeout_s == 2.0
    began = time.monotonic()
    assert await Retries(policy=QUICK, gate=gate).call(call, 30) == ("well", 1)
    assert 2.0 <= time.monotonic() - began < 10


async def test_no_try_counts_as_hanging_before_ten_answers() -> None:
    gate = Gate()
    for _ in range(9):
        gate.record_duration(0.01)
    assert gate.hang_timeout_s == math.inf
    gate.record_duration(3.0)
    assert gate.hang_timeout_s == 15.0
