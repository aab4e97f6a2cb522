"""Request bodies: read with a bound, as UTF-8, and into models."""

from __future__ import annotations

import functools
import math
from typing import Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, field_validator

from triage.domain.annotation import Annotation
from triage.domain.errors import InputTooLarge, InvalidInput
from triage.domain.incident import Incident, IncidentId, Scalar, ZonedMoment, content_id
from triage.domain.principal import DEFAULT_TEAM, TeamName, team_id
from triage.intake.markdown import parse_markdown
from triage.server.api.problems import FieldError, InvalidFields, UnsupportedMediaType

Model = TypeVar("Model", bound=BaseModel)

JSON = "application/json"
TEXTS = ("text/plain", "text/markdown")
MAX_ANNOTATION_BYTES = 1_000_000
# A client that is still sending may not see an answer before it is done: this much more is read and thrown away.
_DISCARDED_BYTES = 32_000_000
# Python writes no number of more than 4,300 digits; YAML has hexadecimal ones of any length.
_MOST_BITS = 14_000


class NewIncident(Incident, frozen=True):
    """An incident as it is posted. Without an `id` it gets one made from title and write-up."""

    id: IncidentId = Field(default_factory=str, description="Left out: made from title and write-up.")
    taxonomy: str = Field(default_factory=str, description="Left out: the one that the service uses.")
    team: TeamName | Literal[""] = Field(default="", description="Left out: the key's only team, or `default`.")

    @field_validator("source", "service", "severity", "url")
    @classmethod
    def _is_text(cls, text: str) -> str:
        if "\x00" in text:
            raise ValueError("holds NUL characters")
        return text

    @field_validator("attributes")
    @classmethod
    def _can_be_kept(cls, attributes: dict[str, Scalar]) -> dict[str, Scalar]:
        for name, value in attributes.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name!r} is not a finite number")
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:
                raise ValueError(f"{name!r} is too large a number")
            if "\x00" in name or (isinstance(value, str) and "\x00" in value):
                raise ValueError(f"{name!r} holds NUL characters")
        return attributes

    def incident(self, key: str = "", team: str = DEFAULT_TEAM) -> Incident:
        """The incident; its id is the one in the body, else `key`, else made from the content; see `team_id`."""
        values = self.model_dump(exclude={"taxonomy", "team"})
        own = self.id or key or content_id(self.title, self.write_up)
        return Incident(**values | {"id": team_id(team, own)})


class NewAnnotation(BaseModel, frozen=True, extra="forbid"):
    """A person's labels for one facet of one incident. `is_gold` makes the incident part of the history at once."""

    facet: str = Field(min_length=1, max_length=100)
    labels: tuple[str, ...] = Field(min_length=1, max_length=20)
    annotator: str = Field(min_length=1, max_length=200)
    is_gold: bool = False
    note: str = Field(default="", max_length=4000)

    @field_validator("annotator", "note")
    @classmethod
    def _is_text(cls, text: str) -> str:
        if "\x00" in text:
            raise ValueError("holds NUL characters")
        return text

    def annotation(self, incident_id: str) -> Annotation:
        """The annotation of this incident."""
        return Annotation(incident_id=incident_id, origin="human", **self.model_dump())


class NewAdjudication(BaseModel, frozen=True, extra="forbid"):
    """The gold labels of one facet, made from what annotators said of it. The first label is the primary."""

    facet: str = Field(min_length=1, max_length=100)
    labels: tuple[str, ...] = Field(min_length=1, max_length=20)
    annotator: str = Field(min_length=1, max_length=200, description="Who settles it.")
    note: str = Field(default="", max_length=4000, description="Why.")

    @field_validator("annotator", "note")
    @classmethod
    def _is_text(cls, text: str) -> str:
        if "\x00" in text:
            raise ValueError("holds NUL characters")
        return text


class SearchQuery(BaseModel, frozen=True, extra="forbid"):
    """What to look for in the history."""

    text: str = Field(min_length=1, pattern=r"\w")
    k: int = Field(default=5, ge=1, le=50)
    as_of: ZonedMoment | None = Field(default=None, description="Only incidents that began before this moment.")


async def read_bytes(request: Request, limit: int) -> bytes:
    """The body. Raises `InputTooLarge` once more than `limit` bytes came, without keeping them."""
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
    # JSON may need two bytes for one (escapes), and the other fields need some.
    return await read_model(request, NewIncident, 2 * max_write_up_bytes + 65_536)


def check_size(posted: NewIncident, most: int) -> None:
    """Raise `InputTooLarge` for a write-up of more than so many bytes."""
    if len(posted.write_up.encode()) > most:
        raise InputTooLarge(
            f"The write-up is larger than {most:,} bytes: leave out logs and dumps.",
            field="write_up",
            limit_bytes=most,
        )


def check_taxonomy(posted: NewIncident, in_use: str) -> None:
    """Raise `InvalidInput` for an incident that names another taxonomy than the one in use."""
    if posted.taxonomy not in ("", in_use):
        raise InvalidInput(
            f"This service triages with taxonomy {in_use!r}, not {posted.taxonomy!r}: leave the field out.",
            field="taxonomy",
            available=[in_use],
        )


async def read_model(request: Request, model: type[Model], limit: int) -> Model:
    """The JSON body as a model. Raises `InvalidFields` that names each wrong field."""
    return (await read_models(request, model, limit, may_be_list=False))[0]


async def read_models(
    request: Request, model: type[Model], limit: int, *, may_be_list: bool = True, most: int = 100
) -> list[Model]:
    """The JSON body as one or a list of models."""
    if media_type(request) != JSON:
        raise UnsupportedMediaType(f"Send the body as {JSON}.", content_type=media_type(request))
    text = decode(await read_bytes(request, limit)).lstrip("\ufeff")
    if not text.strip():
        raise InvalidFields([_empty_body()])
    try:
        if not (may_be_list and text.lstrip().startswith("[")):
            return [model.model_validate_json(text, strict=True)]
        models = _many(model).validate_json(text, strict=True)
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
    """`content` as text. Raises `InvalidInput` where it is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"The body is not UTF-8 text (byte {error.start}): save it as UTF-8 and send it again.", field="body"
        ) from error


@functools.cache
def _many(model: type[Model]) -> TypeAdapter[list[Model]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]


def _empty_body() -> FieldError:
    return FieldError(field="body", message="is empty: send the incident as JSON or text")
