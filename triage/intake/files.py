"""Incidents from files and standard input: Markdown, plain text, JSON, JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from triage.domain.errors import InputTooLarge, InvalidInput, NotFound
from triage.domain.incident import Incident, content_id
from triage.intake.markdown import parse_markdown
from triage.intake.rows import DataProblem, InvalidDataset, RowError, make_incident

_FORMS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".md": "markdown", ".markdown": "markdown"}


class Reading(NamedTuple):
    """The incidents of a file, and the names of fields in it that an incident does not have."""

    incidents: tuple[Incident, ...]
    ignored: tuple[str, ...] = ()


def read_file(path: Path, max_write_up_bytes: int) -> Reading:
    """The incidents in a file, by its ending; a file with another ending is a plain write-up.

    Raises `NotFound`, `InputTooLarge`, or `InvalidInput` that names file, line and field.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", path=str(path)) from error
    except IsADirectoryError as error:
        raise InvalidInput(f"{path} is a folder: name the files in it, as in {path}/*.md.", field="file") from error
    return read_content(content, path, _FORMS.get(path.suffix.lower(), "text"), max_write_up_bytes)


def read_stream(content: bytes, max_write_up_bytes: int) -> Reading:
    """The incidents in what came on standard input: JSON if it begins like it, else Markdown or plain text."""
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    form = "markdown"
    if start == b"[":
        form = "json" if _is_json(content) else form
    elif start == b"{":
        form = "json" if _is_json(content) else "jsonl"
    return read_content(content, Path("standard input"), form, max_write_up_bytes)


def read_content(content: bytes, path: Path, form: str, max_write_up_bytes: int) -> Reading:
    """The incidents in `content`, which is of the `form` markdown, text, json or jsonl. `path` names it in errors."""
    text = _decode(content, path)
    problems: list[DataProblem] = []
    incidents: list[Incident] = []
    ignored: dict[str, None] = {}
    for line, fields in _objects(text, path, form, problems):
        known, others = _split(fields)
        ignored |= dict.fromkeys(others)
        try:
            incidents.append(_incident(known, max_write_up_bytes))
        except RowError as error:
            problems.append(DataProblem(line, error.field, str(error)))
    if problems:
        raise InvalidDataset(path, sorted(problems))
    return Reading(tuple(incidents), tuple(ignored))


def _decode(content: bytes, path: Path) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8, or name a text file.", field="file"
        ) from error
    if not text.strip():
        raise InvalidInput(f"{path} is empty: give the text of an incident.", field="write_up")
    return text


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _objects(text: str, path: Path, form: str, problems: list[DataProblem]) -> list[tuple[int, dict[str, Any]]]:
    if form == "text":
        return [(1, {"write_up": text})]
    if form == "markdown":
        return [(1, parse_markdown(text))]
    sources = (
        [(1, text)] if form == "json" else [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    )
    found: list[tuple[int, dict[str, Any]]] = []
    for line, source in sources:
        try:
            value = json.loads(source)
        except json.JSONDecodeError as error:
            problems.append(DataProblem(line + error.lineno - 1, "", f"is not JSON: {error.msg}, column {error.colno}"))
            continue
        for item in value if isinstance(value, list) and form == "json" else [value]:
            if isinstance(item, dict):
                found.append((line, item))
            else:
                problems.append(DataProblem(line, "", f"must be a JSON object, not {type(item).__name__}"))
    if not found and not problems:
        raise InvalidInput(f"{path} holds no incident.", field="file")
    return found


def _split(fields: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The fields of an incident, and the names of the others. `text` may stand for `write_up`."""
    known = {name: value for name, value in fields.items() if name in Incident.model_fields and value is not None}
    used = set(known)
    if "write_up" not in known and "text" in fields:
        known["write_up"] = fields["text"]
        used.add("text")
    return known, [name for name in fields if name not in used and fields[name] is not None]


def _incident(fields: dict[str, Any], max_write_up_bytes: int) -> Incident:
    write_up = fields.get("write_up")
    if isinstance(write_up, str) and len(write_up.encode(errors="replace")) > max_write_up_bytes:
        raise InputTooLarge(f"The write-up is larger than {max_write_up_bytes:,} bytes.", field="write_up")
    if "id" not in fields:
        fields = {**fields, "id": content_id(str(fields.get("title", "")), str(write_up))}
    return make_incident(fields)
