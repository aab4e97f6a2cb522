"""Markdown write-ups: YAML front matter gives the fields, the first heading the title."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from triage.domain.errors import InvalidInput
from triage.domain.incident import Incident

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(?P<fields>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
# Comments may stand above the title, as in templates.
_HEADING = re.compile(r"\A(?P<before>(?>\s|<!--(?s:.*?)-->)*+)#[ \t]+(?P<title>\S[^\n]*)\n")
_FIELD = re.compile(r"^[A-Za-z_]\w*[ \t]*:", re.MULTILINE)
# Reading YAML takes some microseconds for each character, during which a service does nothing else.
_MOST_CHARACTERS = 20_000


class _Loader(yaml.SafeLoader):
    """YAML without aliases: ten lines of them can stand for more than fits into memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read here", mark)
        return super().compose_node(parent, index)


def parse_markdown(text: str, *, has_title: bool = False) -> dict[str, Any]:
    """The fields of an incident from Markdown. Raises `InvalidInput` for front matter that is not a YAML mapping.

    Two rules with prose between them are a write-up that begins with a rule, no front matter. Where the incident
    `has_title` from elsewhere, or one in its front matter, its first heading stays in the write-up.
    """
    fields: dict[str, Any] = {}
    matter = _FRONT_MATTER.match(text)
    if matter and _FIELD.search(matter["fields"]):
        fields = _fields(matter["fields"])
        text = text[matter.end() :]
    heading = None if has_title or fields.get("title") is not None else _HEADING.match(text)
    if heading and (rest := text[heading.end() :]).strip():
        title, rest = heading["title"], heading["before"].lstrip() + rest
        return {**fields, "title": title[0] + title[1:].rstrip(" \t#"), "write_up": rest}
    return {**fields, "write_up": text}


def write_markdown(incident: Incident) -> str:
    """An incident as `parse_markdown` reads it, with every field that it has."""
    values = incident.model_dump(exclude={"write_up"}, exclude_defaults=True) | {"title": incident.title}
    fields = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=math.inf)
    return f"---\n{fields}---\n{incident.write_up}"


def _fields(source: str) -> dict[str, Any]:
    if len(source) > _MOST_CHARACTERS:
        raise InvalidInput(
            f"The front matter is longer than {_MOST_CHARACTERS:,} characters: put the text below it.",
            field="front matter",
        )
    try:
        fields = yaml.load(source, _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        # PyYAML lets through what its constructors raise, as for a thirteenth month.
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
