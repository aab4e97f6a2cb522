"""Request bodies: read with a limit, as UTF-8, into models."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Literal, TypeVar

from fastapi import Request
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError, field_validator

from triage.domain.errors import InputTooLarge, InvalidInput
from triage.domain.incident import Incident, IncidentId, Scalar, content_id
from triage.domain.principal import DEFAULT_TEAM, TeamName, team_id
from triage.intake.markdown import parse_markdown
from triage.server.api.problems import FieldError, InvalidFields, UnsupportedMediaType

Model = TypeVar("Model", bound=BaseModel)

JSON = "application/json"
TEXTS = ("text/plain", "text/markdown")
SMALL_BYTES = 20_000
"""The limit for bodies of a few short fields."""

# A client that is still sending may not see an answer: read this much more and discard it.
_DISCARDED_BYTES = 32_000_000
# Python writes no integers of more than 4,300 digits, but YAML reads hexadecimal ones of any length.
_MOST_BITS = 14_000


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("contains NUL characters")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
"""Text without NUL characters, which PostgreSQL can't store."""


class NewIncident(Incident, frozen=True):
    """An incident as it is posted. Without an `id` it gets one derived from title and write-up."""

    id: IncidentId = Field(default_factory=str, description="Default: derived from title and write-up.")
    taxonomy: str = Field(default_factory=str, description="Default: the one that the service uses.")
    team: TeamName | Literal[""] = Field(default="", description="Default: the key's only team, or `default`.")

    @field_validator("source", "service", "severity", "url")
    @classmethod
    def _is_text(cls, text: str) -> str:
        return _without_nul(text)

    @field_validator("attributes")
    @classmethod
    def _can_be_stored(cls, attributes: dict[str, Scalar]) -> dict[str, Scalar]:
        for name, value in attributes.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name!r} is not a finite number")
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:
                raise ValueError(f"{name!r} is too large a number")
            if "\x00" in name or (isinstance(value, str) and "\x00" in value):
                raise ValueError(f"{name!r} contains NUL characters")
        return attributes

    def incident(self, key: str = "", team: str = DEFAULT_TEAM) -> Incident:
        """The incident as `team` stores it (see `team_id`), under its own id, `key`, or one from its content."""
        values = self.model_dump(exclude={"taxonomy", "team"})
        own_id = self.id or key or content_id(self.title, self.write_up)
        return Incident(**values | {"id": team_id(team, own_id)})


async def read_bytes(request: Request, limit: int) -> bytes:
    """The body. Raises `InputTooLarge` if it has more than `limit` bytes, which are not kept in memory."""
    too_large = InputTooLarge(f"The body is larger than {limit:,} bytes.", field="body", limit_bytes=limit)
    declared = request.headers.get("content-length", "")
    announced = int(declared) if declared.isdigit() and len(declared) < 19 else 0
    if announced > limit and (announced > _DISCARDED_BYTES or "expect" in request.headers):
        raise too_large
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        elif size > limit + _DISCARDED_BYTES:
            break
        else:
            chunks.clear()
    if size > limit:
        raise too_large
    return b"".join(chunks)


async def read_incident(request: Request, max_write_up_bytes: int) -> NewIncident:
    """The posted incident: JSON, plain text, or Markdown with front matter."""
    kind = media_type(request)
    if kind in TEXTS:
        text = decode(await read_bytes(request, max_write_up_bytes))
        if not text.strip():
            raise InvalidFields([_empty_body()])
        values = parse_markdown(text) if kind == "text/markdown" else {"write_up": text}
        try:
            return NewIncident.model_validate(values)
        except ValidationError as error:
            raise InvalidFields.of(error) from error
    if kind != JSON:
        raise UnsupportedMediaType(
            f"Send the incident as {JSON}, {' or '.join(TEXTS)}, not {kind or 'without a Content-Type'}.",
            content_type=kind,
        )
    # JSON escapes can double the size, and the other fields need some room.
    return await read_model(request, NewIncident, 2 * max_write_up_bytes + 65_536)


async def read_model(request: Request, model: type[Model], limit: int = SMALL_BYTES) -> Model:
    """The JSON body as a model. Raises `InvalidFields` that names each invalid field."""
    text = await _read_json(request, limit)
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise InvalidFields.of(error) from error


async def read_models(request: Request, model: type[Model], limit: int = 1_000_000, most: int = 100) -> list[Model]:
    """The JSON body as models: one, or a list of at most `most`. Raises `InvalidInput`."""
    text = await _read_json(request, limit)
    try:
        if not text.lstrip().startswith("["):
            return [model.model_validate_json(text, strict=True)]
        models = _list_adapter(model).validate_json(text, strict=True)
    except ValidationError as error:
        raise InvalidFields.of(error) from error
    if not 1 <= len(models) <= most:
        raise InvalidInput(f"Send 1 to {most} items, not {len(models)}.", field="body")
    return models


def media_type(request: Request) -> str:
    """The body's media type, without parameters. Raises `UnsupportedMediaType` for a charset other than UTF-8."""
    kind, *parameters = request.headers.get("content-type", "").lower().split(";")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType("Send the body in UTF-8.", content_type=request.headers["content-type"])
    return kind.strip()


def decode(content: bytes) -> str:
    """`content` as text. Raises `InvalidInput` if it is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"The body is not UTF-8 text (byte {error.start}): save it as UTF-8 and send it again.", field="body"
        ) from error


async def _read_json(request: Request, limit: int) -> str:
    if media_type(request) != JSON:
        raise UnsupportedMediaType(f"Send the body as {JSON}.", content_type=media_type(request))
    text = decode(await read_bytes(request, limit)).lstrip("\ufeff")
    if not text.strip():
        raise InvalidFields([_empty_body()])
    return text


@functools.cache
def _list_adapter(model: type[Model]) -> TypeAdapter[list[Model]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]


def _empty_body() -> FieldError:
    return FieldError(field="body", message="is empty: send JSON or text")
