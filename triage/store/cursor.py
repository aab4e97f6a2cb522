"""Cursors: opaque positions in a list, by the `seq` or `id` of its rows."""

from __future__ import annotations

import base64

from triage.domain.errors import InvalidInput


def write_cursor(seq: int) -> str:
    """The cursor of a row."""
    return base64.urlsafe_b64encode(f"v1:{seq}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> int:
    """The row of a cursor. Raises `InvalidInput` if it isn't one from `write_cursor`."""
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        version, _, seq = content.partition(":")
        if version == "v1" and seq.isdigit() and len(seq) < 19:
            return int(seq)
    except ValueError:
        pass
    raise InvalidInput(
        "The cursor is not one that this service issued: use `next_cursor` of the previous page, or omit it.",
        field="cursor",
    )
