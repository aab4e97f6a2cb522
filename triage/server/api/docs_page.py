"""The page at `/docs`: every endpoint of the OpenAPI description. It loads nothing from other hosts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from jinja2 import ChainableUndefined, Environment, Template

from triage.server.api.openapi import METHODS

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
    page = _template().render(style=_STYLE, info=schema["info"], by_tag=by_tag, json=_json)
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


@cache
def _template() -> Template:
    source = Path(__file__).with_name("docs_page.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, undefined=ChainableUndefined).from_string(source)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
