"""The colours of charts: those of a page by their CSS variables, and real ones for files."""

from __future__ import annotations

from typing import Literal, NamedTuple

Theme = Literal["light", "dark"]


class Colours(NamedTuple):
    """Of texts, of what is minor, of lines that guide the eye, of what is drawn, and of what it is drawn on."""

    ink: str
    muted: str
    line: str
    drawn: str
    paper: str


THEMES: dict[Theme, Colours] = {
    "light": Colours(ink="#1b1f23", muted="#57606a", line="#cfd6dd", drawn="#0b5cad", paper="#ffffff"),
    "dark": Colours(ink="#e6e8ea", muted="#a9b1b9", line="#3c454e", drawn="#82bcff", paper="#14181c"),
}
"""The same as the reports' pages have."""

NAMES = Colours(ink="var(--ink)", muted="var(--muted)", line="var(--line)", drawn="var(--drawn)", paper="none")
"""The colours of whatever page a chart stands in."""

STAND_INS = Colours(ink="#010203", muted="#010204", line="#010205", drawn="#010206", paper="none")
"""What is drawn with where the colours are put in afterwards."""
