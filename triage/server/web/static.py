"""The files that pages load: our style and script, and htmx. Named by what is in them, so that browsers keep them."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Response

from triage.domain.errors import MisconfiguredService, NotFound
from triage.evaluation import reports
from triage.render import charts

router = APIRouter(include_in_schema=False)

_OURS = Path(__file__).parent / "static"
# htmx comes in a package for Django, of which nothing else is used, and which is not imported.
_HTMX = Path("static", "django_htmx", "htmx-2.min.js")
_CHARTS = Path(charts.__file__).parent / "charts.css"
# What the pages show in the same way as the report of a run.
_PARTS = Path(reports.__file__).parent / "templates" / "parts.css"
_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class _File(NamedTuple):
    content: bytes
    kind: str
    version: str


def place_of(name: str) -> str:
    """The path of a file, which changes when the file does."""
    return f"/static/{_file(name).version}/{name}"


@router.get("/static/{version}/{name}")
async def get_file(version: str, name: str) -> Response:  # noqa: ARG001 - an old page gets the new file
    """Send a file; it may be kept for a year."""
    file = _file(name)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(file.content, headers=headers, media_type=file.kind)


@cache
def _files() -> dict[str, _File]:
    paths = {path.name: path for path in _OURS.iterdir() if path.suffix in _KINDS}
    paths |= {"htmx.js": _htmx(), _CHARTS.name: _CHARTS, _PARTS.name: _PARTS}
    found = {}
    for name, path in paths.items():
        content = path.read_bytes()
        found[name] = _File(content, _KINDS[path.suffix], hashlib.sha256(content).hexdigest()[:12])
    return found


def _file(name: str) -> _File:
    if name not in _files():
        raise NotFound(f"There is no file {name!r}.", name=name)
    return _files()[name]


def _htmx() -> Path:
    package = find_spec("django_htmx")
    folders = list(package.submodule_search_locations or ()) if package else []
    for folder in folders:
        if (path := Path(folder) / _HTMX).is_file():
            return path
    raise MisconfiguredService("The pages need htmx: install triage with its dependencies (django-htmx is missing).")
