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


class FieldError(BaseModel, frozen=True):
    """An invalid field. `pointer` is its JSON Pointer in the body, empty for fields elsewhere."""

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
    request_id: str = Field(default="", description="The request's id in the service's log.")
    errors: tuple[FieldError, ...] = ()


class InvalidFields(InvalidInput):
    """Input with one or more invalid fields, each named in `errors`."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{e.field}: {e.message}" for e in errors), field=errors[0].field)

    @classmethod
    def of(cls, error: ValidationError | RequestValidationError) -> InvalidFields:
        """The invalid fields of a validation error."""
        return cls([_field_error(each) for each in error.errors()])


class UnsupportedMediaType(TriageError):
    """A body of an unsupported kind."""

    status = 415
    title = "This kind of body is not supported"


class TriageFailed(TriageError):
    """The triage of an incident failed in every attempt."""

    status = 500
    title = "The triage failed"


class DatabaseUnavailable(TriageError):
    """The database is temporarily unavailable."""

    status = 503
    title = "The database is unavailable"

    def __init__(self) -> None:
        super().__init__("The database can't be reached at the moment: try again soon.", retry_after_s=1)


class Defect(TriageError):
    """An unexpected error. The answer reveals nothing internal."""

    status = 500
    title = "Internal Server Error"

    def __init__(self) -> None:
        super().__init__("The service failed on this request: try again, or look for the reason in its log.")


def problem(request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """A problem document as a response, of type `about:blank` and with the status's phrase as title (RFC 9457)."""
    return _response(_problem(request, "about:blank", http.HTTPStatus(status).phrase, status, detail), headers)


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""
    app.add_exception_handler(TriageError, _triage_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(SQLAlchemyError, _database_error)
    app.add_exception_handler(Exception, _defect)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of these error statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": http.HTTPStatus(status).phrase, "content": content} for status in statuses}


def problem_of(request: Request, error: TriageError) -> Problem:
    """The problem document of an error, as a part of a larger answer."""
    document = _problem(request, f"urn:triage:problem:{error.kind}", error.title, error.status, error.detail)
    return document.model_copy(update={"errors": _invalid_fields(error)})


async def _triage_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TriageError)  # noqa: S101 - Starlette types handlers for any exception
    if error.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s: %s", request.method, request.url.path, error.detail)
    data = {name: value for name, value in error.data.items() if name not in Problem.model_fields}
    headers: dict[str, str] = dict(error.headers)
    if (wait_s := error.data.get("retry_after_s")) is not None:
        headers["Retry-After"] = str(math.ceil(wait_s))
    return _response(problem_of(request, error), headers, data)


async def _database_error(request: Request, error: Exception) -> Response:
    if not is_database_away(error):
        raise error
    return await _triage_error(request, DatabaseUnavailable())


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return await _triage_error(request, InvalidFields.of(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    detail, headers = str(error.detail), error.headers
    if error.status_code == http.HTTPStatus.NOT_FOUND and detail == http.HTTPStatus.NOT_FOUND.phrase:
        detail = f"There is nothing at {request.url.path}. The API is described at /docs."
    elif error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.url.path} does not support {request.method}: the Allow header lists what it supports."
        headers = {"Allow": ", ".join(sorted(_allowed_methods(request)))}
    return problem(request, error.status_code, detail, headers=headers)


async def _defect(request: Request, _error: Exception) -> Response:
    # The server logs the exception and closes the connection: nothing else must be sent on it.
    return problem(request, Defect.status, Defect().detail, headers={"Connection": "close"})


def _allowed_methods(request: Request) -> set[str]:
    """The methods of all routes at this path; Starlette's own answer lists only the first route's."""
    path, paths = request.url.path, request.app.openapi()["paths"]
    matching = [path] if path in paths else [each for each in paths if compile_path(each)[0].match(path)]
    return {method.upper() for each in matching for method in paths[each]}


def _problem(request: Request, kind: str, title: str, status: int, detail: str) -> Problem:
    path, request_id = request.url.path, logs.request_id.get()
    return Problem(type=kind, title=title, status=status, detail=detail, instance=path, request_id=request_id)


def _response(document: Problem, headers: Mapping[str, str] | None, data: Mapping[str, Any] | None = None) -> Response:
    """The document with further members `data`. `errors` is left out if there are none."""
    members = document.model_dump(exclude={"errors"}) | dict(data or {})
    if document.errors:
        members["errors"] = [each.model_dump() for each in document.errors]
    content = json.dumps(members, ensure_ascii=False, default=str)
    return Response(content, document.status, dict(headers or {}), media_type=MEDIA_TYPE)


def _invalid_fields(error: TriageError) -> tuple[FieldError, ...]:
    if isinstance(error, InvalidFields):
        return error.errors
    if isinstance(error, InvalidInput):
        return (FieldError(field=str(error.data["field"]), message=error.detail),)
    return ()


def _field_error(error: Any) -> FieldError:
    kind, message = error["type"], str(error["msg"])
    # FastAPI puts the part of the request (body, query, path, header) in front.
    location = [str(part) for part in error["loc"] if part not in ("body", "query", "path", "header")]
    if kind == "json_invalid":
        return FieldError(field="body", message=f"is not JSON: {message.removeprefix('Invalid JSON: ')}")
    message = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        message = "unknown field: correct its spelling or leave it out"
    elif kind == "missing":
        message = "is missing"
    if not location:
        # A rule over several fields begins its message with the first of them.
        first = message.partition(" ")[0]
        return FieldError(field=first if "_" in first else "body", message=message)
    pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in location)
    return FieldError(field=".".join(location), message=message, pointer=pointer)
