"""Static files of the pages: style, script and htmx. Their paths hold a content hash, so that browsers cache them."""

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
# htmx comes in a Django package, of which nothing else is used or imported.
_HTMX = Path("static", "django_htmx", "htmx-2.min.js")
_CHARTS = Path(charts.__file__).parent / "charts.css"
# Style that the pages share with the reports of eval runs.
_PARTS = Path(reports.__file__).parent / "templates" / "parts.css"
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class _File(NamedTuple):
    content: bytes
    media_type: str
    version: str


def static_path(name: str) -> str:
    """The path of a file, which changes with its content."""
    return f"/static/{_file(name).version}/{name}"


@router.get("/static/{version}/{name}")
async def get_file(version: str, name: str) -> Response:  # noqa: ARG001 - an outdated page gets the new file
    """Send a file that browsers may cache for a year."""
    file = _file(name)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(file.content, headers=headers, media_type=file.media_type)


@cache
def _files() -> dict[str, _File]:
    paths = {path.name: path for path in _OURS.iterdir() if path.suffix in _MEDIA_TYPES}
    paths |= {"htmx.js": _htmx(), _CHARTS.name: _CHARTS, _PARTS.name: _PARTS}
    files = {}
    for name, path in paths.items():
        content = path.read_bytes()
        files[name] = _File(content, _MEDIA_TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:12])
    return files


def _file(name: str) -> _File:
    if name not in _files():
        raise NotFound(f"There is no file {name!r}.", name=name)
    return _files()[name]


def _htmx() -> Path:
    package = find_spec("django_htmx")
    for folder in (package and package.submodule_search_locations) or ():
        if (path := Path(folder) / _HTMX).is_file():
            return path
    raise MisconfiguredService("The pages need htmx: install triage with its dependencies (django-htmx is missing).")
