"""The page at `/docs`: every endpoint of the OpenAPI description. It loads nothing from other hosts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import defaultdict
from html import escape
from typing import Any

from fastapi import APIRouter, Request, Response

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
    page = _page(request.app.openapi())
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


def _page(schema: dict[str, Any]) -> str:
    by_tag: defaultdict[str, list[str]] = defaultdict(list)
    for path, operations in schema["paths"].items():
        for method in METHODS:
            if method in operations:
                operation = operations[method]
                by_tag[operation.get("tags", ["other"])[0]].append(_operation(method, path, operation))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(found)}" for tag, found in by_tag.items())
    info = schema["info"]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}: API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        '<p>For programs: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1). Where keys are needed, send yours as '
        f"<code>Authorization: Bearer KEY</code>.</p>{sections}</main></body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    scope = operation.get("x-scope")
    needs = f' <span class="scope">needs scope {escape(scope)}</span>' if scope else ""
    parameters = "".join(
        f"<dt>{escape(each['name'])}</dt><dd>{escape(each['in'])}. {escape(each.get('description', ''))}</dd>"
        for each in operation.get("parameters", ())
    )
    answers = "".join(
        f"<dt>{escape(status)}</dt><dd>{escape(each.get('description', ''))}</dd>"
        for status, each in sorted(operation["responses"].items())
    )
    return (
        f'<details><summary><span class="method">{method.upper()}</span><span class="path">{escape(path)}</span>'
        f"{needs}</summary><p>{escape(operation.get('description', ''))}</p>"
        f"{f'<h3>Parameters</h3><dl>{parameters}</dl>' if parameters else ''}{_body(operation)}"
        f"<h3>Answers</h3><dl>{answers}</dl></details>"
    )


def _body(operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    examples = []
    for kind, each in content.items():
        example = each.get("example")
        if example is not None:
            text = example if isinstance(example, str) else json.dumps(example, ensure_ascii=False, indent=2)
            examples.append(f"<p><code>{escape(kind)}</code></p><pre>{escape(text)}</pre>")
    return f"<h3>Body</h3>{''.join(examples)}" if examples else ""
