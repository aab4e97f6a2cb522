"""Markdown write-ups: YAML front matter gives the fields, the first heading the title."""

from __future__ import annotations

import re
from typing import Any

import yaml

from triage.errors import InvalidInput

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(?P<fields>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"\A\s*#[ \t]+(?P<title>\S[^\n]*?)[ \t#]*\n(?P<rest>.*\S.*)\Z", re.DOTALL)
_FIELD = re.compile(r"^[A-Za-z_]\w*[ \t]*:", re.MULTILINE)


def parse_markdown(text: str) -> dict[str, Any]:
    """The fields of an incident from Markdown. Raises `InvalidInput` for front matter that is not a YAML mapping.

    Two rules with prose between them are a write-up that begins with a rule, no front matter.
    """
    fields: dict[str, Any] = {}
    matter = _FRONT_MATTER.match(text)
    if matter and _FIELD.search(matter["fields"]):
        fields = _fields(matter["fields"])
        text = text[matter.end() :]
    heading = None if fields.get("title") else _HEADING.match(text)
    if heading:
        return {**fields, "title": heading["title"], "write_up": heading["rest"]}
    return {**fields, "write_up": text}


def _fields(source: str) -> dict[str, Any]:
    try:
        fields = yaml.safe_load(source)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 2})" if mark else ""
        raise InvalidInput(
            f"The front matter is not YAML{where}: {getattr(error, 'problem', None) or error}.", field="front matter"
        ) from error
    if not isinstance(fields, dict):
        raise InvalidInput("The front matter must be `name: value` lines.", field="front matter")
    if "write_up" in fields:
        raise InvalidInput("The write-up belongs below the front matter, not in it.", field="write_up")
    return {str(name): value for name, value in fields.items()}
