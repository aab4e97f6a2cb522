"""Every error as a problem document (RFC 9457): what is wrong, where, and what to do."""

from __future__ import annotations

import http
import json
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from triage.domain.errors import InvalidInput, TriageError
from triage.observability import logs
from triage.server.transient_errors import is_database_away

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)
_RESERVED = frozenset({"type", "title", "status", "detail", "instance", "request_id", "errors"})


class FieldError(BaseModel, frozen=True):
    """One field that is wrong. `pointer` is its JSON Pointer in the body, empty where it was elsewhere."""

    field: str
    message: str
    pointer: str = ""


class Problem(BaseModel, frozen=True):
    """What went wrong (RFC 9457). Further members carry data for programs."""

    type: str = Field(examples=["urn:triage:problem:invalid_input"])
    title: str = Field(examples=["The input is not valid"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["write_up: is empty: send the text of the incident"])
    instance: str = Field(examples=["/v1/incidents"])
    request_id: str = Field(default="", description="What the service's log calls this request.")
    errors: tuple[FieldError, ...] = ()


class InvalidFields(InvalidInput):
    """Input with one or more wrong fields, each named in `errors`."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{e.field}: {e.message}" for e in errors), field=errors[0].field)

    @classmethod
    def of(cls, error: ValidationError | RequestValidationError) -> InvalidFields:
        """The wrong fields of a validation error."""
        return cls([_field_error(each) for each in error.errors()])


class UnsupportedMediaType(TriageError):
    """A body of a kind that is not understood."""

    status = 415
    title = "This kind of body is not understood"


class TriageFailed(TriageError):
    """An incident whose triage failed as often as it is tried."""

    status = 500
    title = "The triage failed"


class DatabaseUnavailable(TriageError):
    """The database is away for the moment."""

    status = 503
    title = "The database is away"

    def __init__(self) -> None:
        super().__init__(
            "The database can't be reached at the moment. The same request will succeed when it is back.",
            retry_after_s=1,
        )


class Defect(TriageError):
    """What nobody foresaw. The client learns nothing of our inside."""

    status = 500
    title = "Internal Server Error"

    def __init__(self) -> None:
        super().__init__(
            "The service failed on this request. Its log has the reason; the same request may succeed later."
        )


def problem(
    request: Request,
    status: int,
    kind: str,
    title: str,
    detail: str,
    *,
    data: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A response with a problem document; `data` are further members of it."""
    document = {
        "type": kind if ":" in kind else f"urn:triage:problem:{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "request_id": logs.request_id.get(),
        **(data or {}),
    }
    content = json.dumps(document, ensure_ascii=False, default=str)
    return Response(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""
    app.add_exception_handler(TriageError, _triage_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(SQLAlchemyError, _database_error)
    app.add_exception_handler(Exception, _defect)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The entries of these error statuses for an endpoint's OpenAPI description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": http.HTTPStatus(status).phrase, "content": content} for status in statuses}


def describe(request: Request, error: TriageError) -> Problem:
    """The problem document of an error, where it is part of a larger answer."""
    return Problem(
        type=f"urn:triage:problem:{error.kind}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        instance=request.url.path,
        request_id=logs.request_id.get(),
        errors=_wrong_fields(error),
    )


async def _triage_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TriageError)  # noqa: S101 - Starlette's handlers are typed for any exception
    if error.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s: %s", request.method, request.url.path, error.detail)
    errors = _wrong_fields(error)
    data = {name: value for name, value in error.data.items() if name not in _RESERVED}
    if errors:
        data["errors"] = [each.model_dump() for each in errors]
    headers: dict[str, str] = dict(getattr(error, "headers", None) or {})
    if (wait_s := error.data.get("retry_after_s")) is not None:
        headers["Retry-After"] = str(math.ceil(wait_s))
    return problem(request, error.status, error.kind, error.title, error.detail, data=data, headers=headers)


async def _database_error(request: Request, error: Exception) -> Response:
    if not is_database_away(error):
        raise error
    return await _triage_error(request, DatabaseUnavailable())


def _wrong_fields(error: TriageError) -> tuple[FieldError, ...]:
    if isinstance(error, InvalidFields):
        return error.errors
    if isinstance(error, InvalidInput):
        return (FieldError(field=str(error.data["field"]), message=error.detail),)
    return ()


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return await _triage_error(request, InvalidFields.of(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    phrase = http.HTTPStatus(error.status_code).phrase
    detail, headers = str(error.detail), error.headers
    if error.status_code == http.HTTPStatus.NOT_FOUND and detail == phrase:
        detail = f"There is nothing at {request.url.path}. The API is described at /docs."
    elif error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not possible at {request.url.path}; the Allow header names what is."
        headers = {"Allow": ", ".join(sorted(_allowed(request)))}
    return problem(request, error.status_code, "about:blank", phrase, detail, headers=headers)


def _allowed(request: Request) -> set[str]:
    """The methods of all routes at this place; Starlette's own answer names those of the first alone."""
    place, paths = request.url.path, request.app.openapi()["paths"]
    described = [place] if place in paths else [path for path in paths if compile_path(path)[0].match(place)]
    return {method.upper() for path in described for method in paths[path]}


async def _defect(request: Request, _error: Exception) -> Response:
    # The server logs the exception itself, and then closes the connection: nothing more must be sent on it.
    told, headers = Defect(), {"Connection": "close"}
    return problem(request, told.status, "about:blank", told.title, told.detail, headers=headers)


def _field_error(error: Any) -> FieldError:
    kind, message = error["type"], str(error["msg"])
    # FastAPI puts the place (body, query, path, header) in front.
    location = [part for part in error["loc"] if part not in ("body", "query", "path", "header")]
    if kind == "json_invalid":
        return FieldError(field="body", message=f"is not JSON: {message.removeprefix('Invalid JSON: ')}")
    message = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        message = "is no known field here: correct its spelling or leave it out"
    elif kind == "missing":
        message = "is missing"
    if not location:
        # A rule over several fields names the first of them in its message.
        first = message.partition(" ")[0]
        return FieldError(field=first if "_" in first else "body", message=message)
    return FieldError(
        field=".".join(map(str, location)), message=message, pointer="".join(f"/{_escape(str(p))}" for p in location)
    )


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
