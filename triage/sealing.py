"""Texts sealed for rest: authenticated encryption with keys that can be rotated, or none."""

from __future__ import annotations

from collections.abc import Sequence

from triage.errors import MisconfiguredService

_MARK = "sealed:1:"


class Sealer:
    """Seals with the first of its keys and opens with any; without keys it leaves texts as they are.

    A sealed text is a Fernet token (AES-128-CBC with HMAC-SHA256) behind a mark, so that sealed and plain texts can
    stand side by side while a store is being sealed. Raises `MisconfiguredService` for a key that is none.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._fernet = None
        if keys:
            from cryptography.fernet import Fernet, MultiFernet

            try:
                self._fernet = MultiFernet([Fernet(key) for key in keys])
            except ValueError as error:
                raise MisconfiguredService(
                    "An encryption key must be 32 bytes in URL-safe Base64. `triage keys encryption` makes one.",
                    setting="TRIAGE_ENCRYPTION_KEYS",
                ) from error

    @property
    def seals(self) -> bool:
        """True if what is written is sealed."""
        return self._fernet is not None

    def seal(self, text: str) -> str:
        """`text` as it is to be kept. Without keys that is the text itself."""
        if self._fernet is None:
            return text
        return _MARK + self._fernet.encrypt(text.encode()).decode()

    def open(self, kept: str) -> str:
        """The text that was sealed, or that was kept plain. Raises `MisconfiguredService` where no key fits."""
        if not kept.startswith(_MARK):
            return kept
        from cryptography.fernet import InvalidToken

        if self._fernet is not None:
            try:
                return self._fernet.decrypt(kept.removeprefix(_MARK)).decode()
            except InvalidToken:
                pass
        raise MisconfiguredService(
            "A text is sealed with a key that is not in TRIAGE_ENCRYPTION_KEYS: add the key that it was sealed with.",
            setting="TRIAGE_ENCRYPTION_KEYS",
        )
