"""Incidents from files and standard input: Markdown, plain text, JSON, JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from triage.domain.errors import InputTooLarge, InvalidInput
from triage.domain.incident import Incident
from triage.intake.data_files import (
    DataProblem,
    InvalidDataset,
    Row,
    RowError,
    decode,
    incident_fields,
    json_lines,
    json_object,
    make_incident,
    read_bytes,
)
from triage.intake.markdown import parse_markdown

_FORMS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".md": "markdown", ".markdown": "markdown"}


class Reading(NamedTuple):
    """The incidents of a file, and the names of fields that an incident does not have."""

    incidents: tuple[Incident, ...]
    ignored: tuple[str, ...] = ()


def read_file(path: Path, max_write_up_bytes: int) -> Reading:
    """The incidents in a file, by its suffix; a file with another suffix is a plain write-up.

    Raises `NotFound`, `InputTooLarge`, or `InvalidInput` that names file, line and field.
    """
    return _read(read_bytes(path), path, _FORMS.get(path.suffix.lower(), "text"), max_write_up_bytes)


def read_stream(content: bytes, max_write_up_bytes: int) -> Reading:
    """The incidents in standard input: JSON if it looks like it, else Markdown or plain text."""
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    form = "jsonl" if start == b"{" else "markdown"
    if start in (b"[", b"{") and _is_json(content):
        form = "json"
    return _read(content, Path("standard input"), form, max_write_up_bytes)


def _read(content: bytes, path: Path, form: str, max_write_up_bytes: int) -> Reading:
    text = decode(content, path)
    if not text.strip():
        raise InvalidInput(f"{path} is empty: give the text of an incident.", field="write_up")
    problems: list[DataProblem] = []
    incidents: list[Incident] = []
    ignored: dict[str, None] = {}
    for line, row in _rows(text, form):
        if isinstance(row, DataProblem):
            problems.append(row)
            continue
        try:
            fields, others = incident_fields(row)
            _check_size(fields, max_write_up_bytes)
            incidents.append(make_incident(fields))
            ignored |= dict.fromkeys(others)
        except RowError as error:
            problems.append(DataProblem(line, error.field, str(error)))
    if problems:
        raise InvalidDataset(path, sorted(problems))
    if not incidents:
        raise InvalidInput(f"{path} contains no incident.", field="file")
    return Reading(tuple(incidents), tuple(ignored))


def _rows(text: str, form: str) -> Iterator[tuple[int, Row | DataProblem]]:
    if form == "text":
        yield 1, {"write_up": text}
    elif form == "markdown":
        yield 1, parse_markdown(text)
    elif form == "jsonl":
        yield from json_lines(line.encode() for line in text.split("\n"))
    else:
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            yield 1, DataProblem(error.lineno, "", f"is not JSON: {error.msg} at column {error.colno}")
        else:
            for item in value if isinstance(value, list) else [value]:
                yield 1, json_object(item, 1)


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _check_size(fields: Row, most: int) -> None:
    write_up = fields.get("write_up")
    if isinstance(write_up, str) and len(write_up.encode(errors="replace")) > most:
        raise InputTooLarge(f"The write-up is larger than {most:,} bytes.", field="write_up")
