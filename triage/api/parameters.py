"""Parameters that several endpoints share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request

from triage.errors import InvalidInput

IncidentInPath = Annotated[
    str,
    Path(
        max_length=128,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$",
        description="The incident's id.",
        examples=["INC-1042"],
    ),
]
Limit = Annotated[int, Query(ge=1, le=200, description="At most so many items.")]
Cursor = Annotated[str | None, Query(max_length=100, description="`next_cursor` of the page before.")]


async def refuse_nul(request: Request) -> None:
    """Refuse NUL characters in the path and the query: PostgreSQL has no text with them."""
    for name, value in (*request.path_params.items(), *request.query_params.multi_items()):
        if "\x00" in str(value) or "\x00" in name:
            raise InvalidInput("holds NUL characters: send text.", field=name.replace("\x00", "?"))
