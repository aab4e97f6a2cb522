"""Ways to ask a chat model for JSON that fits a schema, strictest first."""

from __future__ import annotations

import json
from typing import Any, Literal

from triage.models.chat import Message

AnswerFormat = Literal["json_schema", "tool", "json_object", "text"]
"""The endpoint enforces the schema; the model must call a tool with the schema as arguments; the endpoint enforces
JSON; the prompt alone asks for it."""

UNSUPPORTED_STATUSES = frozenset({400, 403, 404, 422, 501})
"""Statuses of endpoints that don't support a parameter. OpenRouter answers 404 if no provider supports tools."""

_LOOSER: dict[AnswerFormat, AnswerFormat] = {"json_schema": "tool", "tool": "json_object", "json_object": "text"}
_FORMAT_WORDS = ("response_format", "schema", "json_object", "json mode", "grammar", "structured", "tool", "function")


def looser_format(answer_format: AnswerFormat, status: int | None, complaint: str) -> AnswerFormat | None:
    """The next format to try after an error. None if there is none left or the error isn't about the format."""
    is_about_format = status in UNSUPPORTED_STATUSES and any(word in complaint.lower() for word in _FORMAT_WORDS)
    return _LOOSER.get(answer_format) if is_about_format else None


def append_schema(messages: tuple[Message, ...], schema: dict[str, Any]) -> tuple[Message, ...]:
    """Describe the schema at the end of the last user message: some endpoints require alternating roles.

    >>> append_schema((Message(role="user", content="Why?"),), {"type": "object"})[-1].content
    'Why?\\n\\nAnswer with one JSON object only, of this JSON schema: {"type":"object"}'
    """
    shape = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    instruction = f"Answer with one JSON object only, of this JSON schema: {shape}"
    *before, last = messages
    if last.content.endswith(instruction):
        return messages
    if last.role != "user":
        return (*messages, Message(role="user", content=instruction))
    return (*before, Message(role="user", content=f"{last.content}\n\n{instruction}"))
