"""The short cuts of the finders: they never pass over what the patterns would find."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from triage.redaction import assignments, personal

PATTERNS = ("_ASSIGNMENT", "_WEAK", "_IN_SENTENCE", "_COMMAND", "_KEY_IN_SENTENCE")
NAMES = (
    "password", "PASSWD", "passphrase", "passcode", "pwd", "pw", "pass", "api_key", "Secret Access Key", "credentials",
    "token", "keys", "sig", "signature", "salt", "nonce", "auth", "hmac", "session", "seed", "creds",
    "connection string", "mysql -u root -p", "mariadb -p", "sshpass -p ", "redis-cli -a ", "client_secret",
)  # fmt: skip
DISGUISES = {"s": "ſ", "k": "\u212a", "i": "ı", "I": "İ"}


@given(
    st.sampled_from(NAMES),
    st.sampled_from([str.lower, str.upper, str.title]),
    st.sets(st.sampled_from(sorted(DISGUISES))),
    st.sampled_from(["=", ": ", " is ", " ", "=>", " '"]),
    st.text(st.sampled_from("aZ09_+/=-.!"), min_size=1, max_size=30),
    st.text(max_size=20),
)
@example("signature", str.lower, {"i", "s"}, "=", "aZ09aZ09aZ09aZ09aZ09aZ09", "")
def test_where_a_pattern_matches_the_text_is_not_passed_over(
    name: str, case: object, disguised: set[str], separator: str, value: str, before: str
) -> None:
    name = "".join(DISGUISES[c] if c in disguised else c for c in case(name))  # type: ignore[operator]
    text = f"{before} {name}{separator}{value}"
    patterns: list[re.Pattern[str]] = [getattr(assignments, pattern) for pattern in PATTERNS]
    if any(pattern.search(text) for pattern in patterns):
        assert assignments._has_name(text)


@given(
    st.text(st.sampled_from("0123456789+-. ()/1a:%"), max_size=40), st.sampled_from(["", "call ", "Tel.: ", "fax #"])
)
def test_every_phone_and_card_number_has_the_row_of_digits_that_is_looked_for_first(number: str, before: str) -> None:
    for pattern in (personal._PHONE, personal._PHONE_NAMED, personal._CARD):
        match = pattern.search(before + number)
        assert match is None or personal._DIGITS_IN_A_ROW.search(before + number)


@given(st.from_regex(personal._PHONE) | st.from_regex(personal._PHONE_NAMED) | st.from_regex(personal._CARD))
def test_what_looks_like_a_number_has_the_row_of_digits(text: str) -> None:
    if any(pattern.search(text) for pattern in (personal._PHONE, personal._PHONE_NAMED, personal._CARD)):
        assert personal._DIGITS_IN_A_ROW.search(text)
