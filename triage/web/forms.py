"""What the forms of pages send: read with a bound."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import Request
from starlette.datastructures import ImmutableMultiDict

from triage.api.bodies import decode, media_type, read_bytes
from triage.api.problems import UnsupportedMediaType
from triage.errors import InvalidInput

Form = ImmutableMultiDict[str, str]

KIND = "application/x-www-form-urlencoded"
_MOST_FIELDS = 500


async def read_form(request: Request, most_bytes: int) -> Form:
    """The fields of a form whose values have at most so many bytes together, with the line ends that texts have here.

    Raises `InputTooLarge`, `UnsupportedMediaType` or `InvalidInput`.
    """
    if media_type(request) != KIND:
        raise UnsupportedMediaType(f"Send the form as {KIND}.", content_type=media_type(request))
    # A byte may need three; names and separators need some.
    text = decode(await read_bytes(request, 3 * most_bytes + 65_536))
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise InvalidInput(f"The form has more than {_MOST_FIELDS} fields.", field="form") from error
    return ImmutableMultiDict([(name, value.replace("\r\n", "\n")) for name, value in fields])
