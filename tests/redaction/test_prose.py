"""Secrets that people write into a sentence, and the bench that plants items in write-ups."""

from __future__ import annotations

import pytest

from evals.bench.planted import PLACED, SHAPED, planted
from evals.bench.redaction import KINDS, is_found, plant
from triage.redaction import Redactor

REDACTOR = Redactor()


@pytest.mark.parametrize(
    "text",
    [
        "The password for the admin account is {} and must be changed.",
        "We logged in as root with password {} from the jump host.",
        "The temporary password ({}) was posted in the channel.",
        "The password was changed to {}.",
        "pw: {}",
        "PW={}",
        "user admin, pass {}, then sudo",
        "mysql -u root -p{} -h db",
        "sshpass -p '{}' ssh root@db",
        "Its passphrase, {}, was in the ticket.",
    ],
)
@pytest.mark.parametrize("secret", ["mCFPvm~FRm3sM", "hK9Z6gJ!", "Winter2026", "SWOwkc+WqmxLG"])
def test_a_password_in_a_sentence_is_taken_out(text: str, secret: str) -> None:
    assert secret not in REDACTOR.redact(text.format(secret)).text


@pytest.mark.parametrize(
    "text",
    [
        "It was an issue. hmac: {}",
        "see the message hmac: {}",
        "The key we used ({}) was revoked.",
        "the old key, {}, still worked",
        "we rotated the key from {} at noon",
    ],
)
def test_a_key_in_a_sentence_is_taken_out(text: str) -> None:
    secret = "fd30d40fa8216f0c843be33cca66649a"

    assert secret not in REDACTOR.redact(text.format(secret)).text


@pytest.mark.parametrize(
    "text",
    [
        "The password policy was changed to require longer ones.",
        "Password resets failed with HTTP 503 in us-east-1.",
        "The password check was moved to auth-service-2 at 10:42.",
        "Users had to reset their password (see step 3).",
        "Tests pass 95% of the time and pass on Python3.12.",
        "Requests pass through load-balancer-01 to the pods.",
        "The key point (see above) is that the cache was cold.",
        "The cache key we used (5f1c2b7a9d3e5f60718293a4b5c6d7e8) was stale.",
        "mysql -u root -h db1 and cp -p file1 file2",
        "The pass was to be made by 2026-11-05T10:42:00Z.",
    ],
)
def test_what_only_speaks_of_secrets_stays(text: str) -> None:
    assert REDACTOR.redact(text).text == text


@pytest.mark.parametrize("after", ["2018, a subset of users", "14 Mar", "123 and more", "00:10 UTC"])
@pytest.mark.parametrize("card", ["4111 1111 1111 1111", "6011 1111 1111 1117", "5500-0000-0000-0004"])
def test_a_card_number_before_another_number_is_taken_out(card: str, after: str) -> None:
    assert card not in REDACTOR.redact(f"It was charged to {card} {after}").text


def test_every_planted_item_is_taken_out_and_redacting_twice_changes_nothing() -> None:
    for kind, secret, text in planted(seed=3):
        redacted = REDACTOR.redact(text).text
        assert secret not in redacted, (kind, text)
        assert REDACTOR.redact(redacted).text == redacted


def test_the_bench_plants_twenty_kinds_and_finds_them() -> None:
    write_up = "The gateway refused requests for an hour. We restarted it, and then it recovered."
    cases = plant([write_up], KINDS, each=10, seed=0)

    assert len(cases) == 200
    assert set(KINDS) <= {*SHAPED, *PLACED}
    assert all(case.item in case.text for case in cases)
    assert [case for case in cases if not is_found(REDACTOR, case)] == []
