from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.domain.errors import MisconfiguredService
from triage.store.encryption import OFF, Sealer, is_sealed, new_key

OLD, NEW, OTHER = new_key(), new_key(), new_key()


@given(st.text() | st.sampled_from(["sealed:1:x", "plain:1:x", "plain:1:sealed:1:x", "sealed:1:"]))
def test_any_text_comes_back_from_every_sealer_that_kept_it(text: str) -> None:
    for keys in ((), (OLD,), (NEW, OLD), (OFF, OLD)):
        sealer = Sealer(keys)
        kept = sealer.seal(text)
        assert sealer.open(kept) == text
        assert sealer.is_current(kept)
        assert Sealer((OFF, NEW, OLD)).open(kept) == text
        assert is_sealed(kept) == (sealer.seals and text != "")


def test_a_key_that_was_changed_still_opens_and_a_key_that_is_not_there_is_named() -> None:
    kept = Sealer([OLD]).seal("The write-up.")

    assert Sealer([NEW, OLD]).open(kept) == "The write-up."
    assert not Sealer([NEW, OLD]).is_current(kept)
    for keys in ((), (OTHER,), (OFF, OTHER)):
        with pytest.raises(MisconfiguredService, match="TRIAGE_ENCRYPTION_KEYS"):
            Sealer(keys).open(kept)


def test_one_altered_character_is_noticed() -> None:
    kept = Sealer([OLD]).seal("The write-up.")
    altered = kept[:40] + ("A" if kept[40] != "A" else "B") + kept[41:]

    with pytest.raises(MisconfiguredService):
        Sealer([OLD]).open(altered)


def test_keys_are_read_from_a_list_and_a_key_that_is_none_is_refused() -> None:
    assert Sealer.of(f" {NEW} , {OLD},").open(Sealer([OLD]).seal("x")) == "x"
    assert not Sealer.of(None).seals
    assert not Sealer.of(f"none,{OLD}").seals
    with pytest.raises(MisconfiguredService, match="--new-key"):
        Sealer.of("password")
