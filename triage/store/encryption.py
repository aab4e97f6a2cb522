"""Encryption of text at rest: authenticated encryption with rotatable keys, and the columns that use it.

Nothing is searched or sorted by an encrypted column: each encryption of the same text differs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, Dialect, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

from triage.domain.errors import MisconfiguredService

OFF = "none"
"""In place of the first key: new text is stored plain, and the other keys decrypt what was encrypted before."""

# Both marks stand in stored data and must not change.
_MARK = "sealed:1:"
_PLAIN_MARK = "plain:1:"
_ENCRYPTED_TRIAGE = '{"sealed":'


class Cipher:
    """Encrypts with the first of its keys and decrypts with any; without keys it leaves text as it is.

    An encrypted text is a Fernet token (AES-128-CBC with HMAC-SHA256) after a mark, so that encrypted and plain texts
    can coexist while a store is being encrypted. A plain text that starts like a mark is stored after a mark of its
    own, so that a posted text can't be mistaken for an encrypted one. Raises `MisconfiguredService` for an invalid key.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._encrypting = self._decrypting = None
        if real := [key for key in keys if key != OFF]:
            from cryptography.fernet import Fernet, MultiFernet

            try:
                fernets = [Fernet(key) for key in real]
            except ValueError as error:
                raise MisconfiguredService(
                    "An encryption key must be 32 bytes in URL-safe Base64: `triage encrypt --new-key` makes one.",
                    setting="TRIAGE_ENCRYPTION_KEYS",
                ) from error
            self._decrypting = MultiFernet(fernets)
            self._encrypting = None if keys[0] == OFF else fernets[0]

    @classmethod
    def parse(cls, keys: str | None) -> Cipher:
        """The cipher for a comma-separated list of keys, or for none."""
        return cls([key for key in (part.strip() for part in (keys or "").split(",")) if key])

    @property
    def encrypts(self) -> bool:
        """True if new text is encrypted."""
        return self._encrypting is not None

    def encrypt(self, text: str) -> str:
        """`text` as it is stored. An empty text always stays as it is, and so does any text without keys."""
        if not text:
            return text
        if self._encrypting is None:
            return _PLAIN_MARK + text if text.startswith((_MARK, _PLAIN_MARK)) else text
        return _MARK + self._encrypting.encrypt(text.encode()).decode()

    def decrypt(self, stored: str) -> str:
        """The original of a stored text, encrypted or plain. Raises `MisconfiguredService` if no key fits."""
        if not stored.startswith(_MARK):
            return stored.removeprefix(_PLAIN_MARK)
        from cryptography.fernet import InvalidToken

        if self._decrypting is not None:
            try:
                return self._decrypting.decrypt(stored.removeprefix(_MARK)).decode()
            except InvalidToken:
                pass
        raise MisconfiguredService(
            "A text is encrypted with a key that is not in TRIAGE_ENCRYPTION_KEYS: add the key it was encrypted with.",
            setting="TRIAGE_ENCRYPTION_KEYS",
        )

    def is_current(self, stored: str) -> bool:
        """True if `stored` is what `encrypt` would write now: encrypted with the first key, or plain without one."""
        if not stored:
            return True
        if not stored.startswith(_MARK) or self._encrypting is None:
            return stored.startswith(_MARK) == self.encrypts
        from cryptography.fernet import InvalidToken

        try:
            self._encrypting.decrypt(stored.removeprefix(_MARK))
        except InvalidToken:
            return False
        return True


_PLAIN = Cipher()


def is_encrypted(stored: str) -> bool:
    """True if a stored text is encrypted, with whatever key."""
    return stored.startswith(_MARK)


def new_key() -> str:
    """A new random key."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def set_cipher(dialect: Dialect, cipher: Cipher | None) -> None:
    """Set the cipher for the encrypted columns of an engine with this dialect; with None they hold raw values."""
    dialect.triage_cipher = cipher  # type: ignore[attr-defined]


def _cipher(dialect: Dialect) -> Cipher | None:
    # Each engine has its own dialect, so two stores in one process don't share their keys.
    return getattr(dialect, "triage_cipher", _PLAIN)


class EncryptedText(TypeDecorator[Any]):
    """A text that is encrypted as a whole."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        cipher = _cipher(dialect)
        return value if value is None or cipher is None else self.encrypt(value, cipher)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        cipher = _cipher(dialect)
        return value if value is None or cipher is None else self.decrypt(value, cipher)

    def encrypt(self, value: Any, cipher: Cipher) -> Any:
        """`value` as it is stored."""
        return cipher.encrypt(value)

    def decrypt(self, stored: Any, cipher: Cipher) -> Any:
        """The value that was stored."""
        return cipher.decrypt(stored)

    def is_current(self, stored: Any, cipher: Cipher) -> bool:
        """True if `stored` is what `encrypt` would write now."""
        return cipher.is_current(stored)


class EncryptedTriage(EncryptedText):
    """A triage's JSON. The labels of its facets stay readable beside the encrypted document, for use in queries.

    Labels are not part of the write-up; the annotations hold them in plain text too.
    """

    cache_ok = True

    def encrypt(self, value: str, cipher: Cipher) -> str:
        if not cipher.encrypts:
            return value
        facets = json.loads(value)["facets"]
        labels = {facet: {"labels": result["labels"]} for facet, result in facets.items()}
        return json.dumps({"sealed": cipher.encrypt(value), "facets": labels}, separators=(",", ":"))

    def decrypt(self, stored: str, cipher: Cipher) -> str:
        return cipher.decrypt(json.loads(stored)["sealed"]) if stored.startswith(_ENCRYPTED_TRIAGE) else stored

    def is_current(self, stored: str, cipher: Cipher) -> bool:
        return cipher.is_current(json.loads(stored)["sealed"] if stored.startswith(_ENCRYPTED_TRIAGE) else stored)


class EncryptedMapping(EncryptedText):
    """A JSON object; encrypted, it is stored as a JSON string."""

    impl = JSON
    cache_ok = True

    def encrypt(self, value: Any, cipher: Cipher) -> Any:
        return cipher.encrypt(json.dumps(value, ensure_ascii=False)) if value and cipher.encrypts else value

    def decrypt(self, stored: Any, cipher: Cipher) -> Any:
        return json.loads(cipher.decrypt(stored)) if isinstance(stored, str) and is_encrypted(stored) else stored

    def is_current(self, stored: Any, cipher: Cipher) -> bool:
        return cipher.is_current(stored) if isinstance(stored, str) else not (stored and cipher.encrypts)
