"""Texts sealed for rest: authenticated encryption with keys that can be rotated, or none."""

from __future__ import annotations

from collections.abc import Sequence

from triage.domain.errors import MisconfiguredService

OFF = "none"
"""In the first key's place: what is written is left plain, and the keys behind it open what was sealed before."""

_MARK = "sealed:1:"
_PLAIN_MARK = "plain:1:"


class Sealer:
    """Seals with the first of its keys and opens with any; without keys it leaves texts as they are.

    A sealed text is a Fernet token (AES-128-CBC with HMAC-SHA256) behind a mark, so that sealed and plain texts can
    stand side by side while a store is being sealed. A plain text that begins like a mark is kept behind one of its
    own, so that nobody can post a text that then does not open. Raises `MisconfiguredService` for a key that is none.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._sealing = self._opening = None
        if real := [key for key in keys if key != OFF]:
            from cryptography.fernet import Fernet, MultiFernet

            try:
                fernets = [Fernet(key) for key in real]
            except ValueError as error:
                raise MisconfiguredService(
                    "An encryption key must be 32 bytes in URL-safe Base64: `triage encrypt --new-key` makes one.",
                    setting="TRIAGE_ENCRYPTION_KEYS",
                ) from error
            self._opening = MultiFernet(fernets)
            self._sealing = None if keys[0] == OFF else fernets[0]

    @classmethod
    def of(cls, keys: str | None) -> Sealer:
        """The sealer for a comma-separated list of keys, or for none."""
        return cls([key for key in (part.strip() for part in (keys or "").split(",")) if key])

    @property
    def seals(self) -> bool:
        """True if what is written is sealed."""
        return self._sealing is not None

    def seal(self, text: str) -> str:
        """`text` as it is to be kept. Without keys that is the text itself, or nearly; an empty one always is."""
        if not text:
            return text
        if self._sealing is None:
            return _PLAIN_MARK + text if text.startswith((_MARK, _PLAIN_MARK)) else text
        return _MARK + self._sealing.encrypt(text.encode()).decode()

    def open(self, kept: str) -> str:
        """The text that was sealed, or that was kept plain. Raises `MisconfiguredService` where no key fits."""
        if not kept.startswith(_MARK):
            return kept.removeprefix(_PLAIN_MARK)
        from cryptography.fernet import InvalidToken

        if self._opening is not None:
            try:
                return self._opening.decrypt(kept.removeprefix(_MARK)).decode()
            except InvalidToken:
                pass
        raise MisconfiguredService(
            "A text is sealed with a key that is not in TRIAGE_ENCRYPTION_KEYS: add the key that it was sealed with.",
            setting="TRIAGE_ENCRYPTION_KEYS",
        )

    def is_current(self, kept: str) -> bool:
        """True if `kept` is as `seal` writes now: sealed with the first key, or plain where nothing is sealed."""
        if not kept:
            return True
        if not kept.startswith(_MARK) or self._sealing is None:
            return kept.startswith(_MARK) == self.seals
        from cryptography.fernet import InvalidToken

        try:
            self._sealing.decrypt(kept.removeprefix(_MARK))
        except InvalidToken:
            return False
        return True


def is_sealed(kept: str) -> bool:
    """True if a kept text is sealed, with whatever key."""
    return kept.startswith(_MARK)


def new_key() -> str:
    """A new random key."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()
