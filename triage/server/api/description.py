"""What FastAPI can't see of the API, added to its OpenAPI description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from triage.server.api.problems import documented

_OF_FASTAPI = ("HTTPValidationError", "ValidationError")
# What the guard answers before an endpoint is reached, and what a failure of ours is.
_OF_EVERY_REQUEST = (414, 421, 431, 500, 503)
_OF_A_BODY = (403, 408, 413)
_METHODS = ("get", "post", "put", "patch", "delete")


def complete(schema: dict[str, Any]) -> None:
    """Describe what every endpoint may answer: problem documents for wrong input and for a failure of the service."""
    for operation in operations(schema):
        responses = operation["responses"]
        if _is_of_fastapi(responses.get("422", {})):
            responses |= {str(status): response for status, response in documented(422).items()}
        for status, response in documented(
            *_OF_EVERY_REQUEST, *(_OF_A_BODY if "requestBody" in operation else ())
        ).items():
            responses.setdefault(str(status), response)
    schemas = schema.get("components", {}).get("schemas", {})
    for name in _OF_FASTAPI:
        schemas.pop(name, None)


def operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation of an OpenAPI description."""
    for item in schema["paths"].values():
        yield from (item[method] for method in _METHODS if method in item)


def _is_of_fastapi(response: dict[str, Any]) -> bool:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return bool(schema.get("$ref", "").endswith("/HTTPValidationError"))
