"""Read the forms of pages, with size limits."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import Request
from starlette.datastructures import ImmutableMultiDict
from starlette.types import Message

from triage.domain.errors import InvalidInput
from triage.server.api.bodies import decode, media_type, read_bytes
from triage.server.api.problems import UnsupportedMediaType

FormFields = ImmutableMultiDict[str, str]

KIND = "application/x-www-form-urlencoded"
_MOST_FIELDS = 500
_SMALL_BYTES = 65_536


async def hold_form(request: Request) -> Request:
    """The request with its small form already read and checked, so that FastAPI can parse it again.

    Raises as `read_form` does.
    """
    content = await read_bytes(request, _SMALL_BYTES)
    if content:
        _parse(request, content)
    messages: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await request.receive()

    return Request(request.scope, receive)


async def read_form(request: Request, most_bytes: int) -> FormFields:
    """The fields of a form whose values have at most `most_bytes` bytes together, with `\\n` as line ends.

    Raises `InputTooLarge`, `UnsupportedMediaType` or `InvalidInput`.
    """
    # URL encoding takes up to three bytes for one, and names and separators take some.
    fields = _parse(request, await read_bytes(request, 3 * most_bytes + _SMALL_BYTES))
    return ImmutableMultiDict([(name, value.replace("\r\n", "\n")) for name, value in fields])


def _parse(request: Request, content: bytes) -> list[tuple[str, str]]:
    if media_type(request) != KIND:
        raise UnsupportedMediaType(f"Send the form as {KIND}.", content_type=media_type(request))
    try:
        fields = parse_qsl(decode(content), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise InvalidInput(f"The form has more than {_MOST_FIELDS} fields.", field="form") from error
    for name, value in fields:
        if "\x00" in name or "\x00" in value:
            field = name.replace("\x00", "?")
            raise InvalidInput(f"The form's field {field!r} holds NUL characters: send text.", field=field)
    return fields
