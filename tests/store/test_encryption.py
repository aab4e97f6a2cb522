from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.domain.errors import MisconfiguredService
from triage.store.encryption import OFF, Cipher, is_encrypted, new_key

OLD, NEW, OTHER = new_key(), new_key(), new_key()


@given(st.text() | st.sampled_from(["sealed:1:x", "plain:1:x", "plain:1:sealed:1:x", "sealed:1:"]))
def test_any_text_comes_back_from_every_cipher_that_stored_it(text: str) -> None:
    for keys in ((), (OLD,), (NEW, OLD), (OFF, OLD)):
        cipher = Cipher(keys)
        kept = cipher.encrypt(text)
        assert cipher.decrypt(kept) == text
        assert cipher.is_current(kept)
        assert Cipher((OFF, NEW, OLD)).decrypt(kept) == text
        assert is_encrypted(kept) == (cipher.encrypts and text != "")


def test_a_key_that_was_changed_still_opens_and_a_key_that_is_not_there_is_named() -> None:
    kept = Cipher([OLD]).encrypt("The write-up.")

    assert Cipher([NEW, OLD]).decrypt(kept) == "The write-up."
    assert not Cipher([NEW, OLD]).is_current(kept)
    for keys in ((), (OTHER,), (OFF, OTHER)):
        with pytest.raises(MisconfiguredService, match="TRIAGE_ENCRYPTION_KEYS"):
            Cipher(keys).decrypt(kept)


def test_one_altered_character_is_noticed() -> None:
    kept = Cipher([OLD]).encrypt("The write-up.")
    altered = kept[:40] + ("A" if kept[40] != "A" else "B") + kept[41:]

    with pytest.raises(MisconfiguredService):
        Cipher([OLD]).decrypt(altered)


def test_keys_are_read_from_a_list_and_a_key_that_is_none_is_refused() -> None:
    assert Cipher.parse(f" {NEW} , {OLD},").decrypt(Cipher([OLD]).encrypt("x")) == "x"
    assert not Cipher.parse(None).encrypts
    assert not Cipher.parse(f"none,{OLD}").encrypts
    with pytest.raises(MisconfiguredService, match="--new-key"):
        Cipher.parse("password")
