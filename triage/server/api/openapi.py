"""The OpenAPI description of the API: what FastAPI can't see is added here.

Endpoints read their bodies themselves, so each names its body with `json_body` (or another function here) in
`openapi_extra`; the description then includes the body's schema. Endpoints document with `documented` only the error
statuses that don't follow from their key, body and path. Operations are named after the endpoint's function.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from jinja2 import ChainableUndefined, Environment, Template
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from triage.server.api.access import declared
from triage.server.api.problems import Problem, documented

METHODS = ("get", "post", "put", "patch", "delete")
_SCHEMES: Mapping[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer triage_...`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_REFERENCE = "#/components/schemas/{model}"
_FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")
# The guard answers these before an endpoint is reached, and 500 and 503 are failures of the service.
_ALWAYS_DOCUMENTED = (414, 421, 431, 500, 503)
_DOCUMENTED_WITH_BODY = (403, 408, 413, 422)


class Body(dict[str, Any]):
    """A request body for an endpoint's `openapi_extra`. `model` is the schema that the body refers to, if any."""

    def __init__(
        self, content: Mapping[str, Any], model: type[BaseModel] | None = None, *, is_required: bool = True
    ) -> None:
        super().__init__(requestBody={"required": is_required, "content": dict(content)})
        self.model = model


def json_body(model: type[BaseModel], example: Mapping[str, Any], *, is_required: bool = True) -> Body:
    """A JSON body of `model`."""
    return Body({"application/json": {"schema": reference(model), "example": example}}, model, is_required=is_required)


def json_list_body(model: type[BaseModel], example: Mapping[str, Any]) -> Body:
    """A JSON body that is one `model`, or a list of 1 to 100 of them."""
    item = reference(model)
    schema = {"oneOf": [item, {"type": "array", "items": item, "minItems": 1, "maxItems": 100}]}
    return Body({"application/json": {"schema": schema, "example": example}}, model)


def reference(model: type[BaseModel]) -> dict[str, str]:
    """A reference to the schema of a model."""
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def describe(app: FastAPI) -> None:
    """Complete the description of `app` with request bodies, keys and problem documents."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                license_info=app.license_info,
                routes=app.routes,
            )
            _add_models(app, schema)
            _add_keys_and_problems(app, schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _add_models(app: FastAPI, schema: dict[str, Any]) -> None:
    models: dict[type[BaseModel], None] = {Problem: None}
    for route in iter_route_contexts(app.routes):
        body = getattr(route, "openapi_extra", None)
        if isinstance(body, Body) and body.model is not None:
            models[body.model] = None
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
    schema.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])


def _add_keys_and_problems(app: FastAPI, schema: dict[str, Any]) -> None:
    schema["components"]["securitySchemes"] = dict(_SCHEMES)
    for route, need in declared(app):
        for method in route.methods or ():
            operation = schema["paths"].get(route.path, {}).get(method.lower())
            if operation is None:
                continue
            has_body, responses = "requestBody" in operation, operation["responses"]
            statuses = [*_ALWAYS_DOCUMENTED, *(_DOCUMENTED_WITH_BODY if has_body else ())]
            # FastAPI documents a 422 of its own for endpoints with parameters.
            if responses.pop("422", None):
                statuses.append(422)
            if need is not None:
                operation["security"] = [{name: []} for name in _SCHEMES]
                operation["x-scope"] = need.scope
                statuses += [401, 403, 429, *([415] if has_body else []), *([404] if "{" in str(route.path) else [])]
            for status, response in documented(*statuses).items():
                responses.setdefault(str(status), response)
    for name in _FASTAPI_ERRORS:
        schema["components"]["schemas"].pop(name, None)


router = APIRouter()

_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }
code, .path { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: .3rem 0; }
.method { display: inline-block; width: 4.5rem; font-weight: 700; }
.scope { color: #57606a; }
dt { font-family: ui-monospace, monospace; }
pre { background: #f3f4f6; padding: .7rem; overflow-x: auto; }
@media (prefers-color-scheme: dark) { body { background: #16181d; color: #e4e6ea; } a { color: #8ab4ff; }
  pre { background: #23262d; } .scope { color: #a2a9b4; } }
"""
_POLICY = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


@router.get("/docs", include_in_schema=False)
async def documentation(request: Request) -> Response:
    """Show the endpoints as a page."""
    schema = request.app.openapi()
    by_tag: defaultdict[str, list[tuple[str, str, Any]]] = defaultdict(list)
    for path, operations in schema["paths"].items():
        for method in METHODS:
            if method in operations:
                by_tag[operations[method].get("tags", ["other"])[0]].append((method, path, operations[method]))
    page = _template().render(
        style=_STYLE, info=schema["info"], by_tag=by_tag, json=partial(json.dumps, ensure_ascii=False, indent=2)
    )
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


@cache
def _template() -> Template:
    source = Path(__file__).with_name("docs_page.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, undefined=ChainableUndefined).from_string(source)
