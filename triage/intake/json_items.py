"""The objects of a JSON array or of JSON Lines, each with the line on which it begins."""

from __future__ import annotations

import json
from typing import Any

from triage.intake.rows import DataProblem

Item = tuple[int, dict[str, Any]]

_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"


def json_items(text: str) -> tuple[list[Item], list[DataProblem]]:
    """The objects in `text`, one after another or in one array, and what in it is none.

    >>> json_items('[{"a": 1},\\n {"b": 2}]')
    ([(1, {'a': 1}), (2, {'b': 2})], [])
    """
    start = _skip(text, 0, _SPACE)
    is_array = text[start : start + 1] == "["
    between = _SPACE + "," if is_array else _SPACE
    at = _skip(text, start + is_array, between)
    items: list[Item] = []
    problems: list[DataProblem] = []
    line, counted = 1, 0
    while at < len(text) and not (is_array and text[at] == "]"):
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            problems.append(DataProblem(error.lineno, "", f"is not JSON: {error.msg} at column {error.colno}"))
            if is_array or (end := text.find("\n", at)) < 0:
                break
        else:
            if isinstance(value, dict):
                items.append((line, value))
            else:
                problems.append(DataProblem(line, "", f"must be a JSON object, not {type(value).__name__}"))
        at = _skip(text, end, between)
    if is_array and at >= len(text) and not problems:
        problems.append(DataProblem(line, "", "the array is not closed: the file is cut off"))
    return items, problems


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at
