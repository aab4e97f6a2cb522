"""Columns whose texts are sealed at rest: sealed on the way in and opened on the way out, by the engine's sealer.

Nothing is found or ordered by such a column: a sealed text differs each time it is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Dialect, Text, TypeDecorator

from triage.store.encryption import Sealer, is_sealed

_SEALED_DOCUMENT = '{"sealed":'
_PLAIN = Sealer()


def give_sealer(dialect: Dialect, sealer: Sealer | None) -> None:
    """Let the columns of an engine with this dialect be sealed and opened by `sealer`; None reads what lies there."""
    dialect.triage_sealer = sealer  # type: ignore[attr-defined]


def _sealer(dialect: Dialect) -> Sealer | None:
    # An engine has a dialect of its own, so two stores in one process don't share their keys.
    return getattr(dialect, "triage_sealer", _PLAIN)


class SealedText(TypeDecorator[str]):
    """A text, sealed as a whole."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        sealer = _sealer(dialect)
        return value if value is None or sealer is None else self.seal(value, sealer)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        sealer = _sealer(dialect)
        return value if value is None or sealer is None else self.open(value, sealer)

    def seal(self, value: str, sealer: Sealer) -> str:
        """`value` as it is kept."""
        return sealer.seal(value)

    def open(self, kept: str, sealer: Sealer) -> str:
        """What was kept."""
        return sealer.open(kept)

    def is_current(self, kept: str, sealer: Sealer) -> bool:
        """True if `kept` is as it would be written now."""
        return sealer.is_current(kept)


class SealedTriage(SealedText):
    """A triage's JSON. Beside the sealed whole stand the labels of its facets, which the database reads by itself.

    Labels are no text of a write-up; they stand unsealed in the annotations too.
    """

    cache_ok = True

    def seal(self, value: str, sealer: Sealer) -> str:
        if not sealer.seals:
            return value
        facets = json.loads(value)["facets"]
        labels = {facet: {"labels": result["labels"]} for facet, result in facets.items()}
        return json.dumps({"sealed": sealer.seal(value), "facets": labels}, separators=(",", ":"))

    def open(self, kept: str, sealer: Sealer) -> str:
        return sealer.open(json.loads(kept)["sealed"]) if kept.startswith(_SEALED_DOCUMENT) else kept

    def is_current(self, kept: str, sealer: Sealer) -> bool:
        return sealer.is_current(json.loads(kept)["sealed"] if kept.startswith(_SEALED_DOCUMENT) else kept)


class SealedMapping(TypeDecorator[Mapping[str, Any]]):
    """A JSON object; where it is sealed, a JSON string stands in its place."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        sealer = _sealer(dialect)
        return value if sealer is None else self.seal(value, sealer)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        sealer = _sealer(dialect)
        return value if sealer is None else self.open(value, sealer)

    def seal(self, value: Any, sealer: Sealer) -> Any:
        """`value` as it is kept."""
        return sealer.seal(json.dumps(value, ensure_ascii=False)) if value and sealer.seals else value

    def open(self, kept: Any, sealer: Sealer) -> Any:
        """What was kept."""
        return json.loads(sealer.open(kept)) if isinstance(kept, str) and is_sealed(kept) else kept

    def is_current(self, kept: Any, sealer: Sealer) -> bool:
        """True if `kept` is as it would be written now."""
        return sealer.is_current(kept) if isinstance(kept, str) else not (kept and sealer.seals)
