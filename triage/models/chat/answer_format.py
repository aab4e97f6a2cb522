"""Ways to ask a chat model for a JSON object of a given shape, from the one that binds it most to plain words."""

from __future__ import annotations

import json
from typing import Any, Literal

from triage.models.chat import Message

AnswerFormat = Literal["json_schema", "tool", "json_object", "text"]
"""Held to the schema by the endpoint; as the arguments of a tool that must be called; any JSON; told in words only."""

OBJECTIONS = frozenset({400, 403, 404, 422, 501})
"""Statuses of endpoints that don't take a request as it is; 404 is OpenRouter's where no provider offers tools."""

_LOOSER: dict[AnswerFormat, AnswerFormat] = {"json_schema": "tool", "tool": "json_object", "json_object": "text"}
_FORMAT_WORDS = ("response_format", "schema", "json_object", "json mode", "grammar", "structured", "tool", "function")


def looser_format(answer_format: AnswerFormat, status: int | None, complaint: str) -> AnswerFormat | None:
    """The format to try after an endpoint's `complaint`, or None if there is no other or it is about something else."""
    is_about_format = status in OBJECTIONS and any(word in complaint.lower() for word in _FORMAT_WORDS)
    return _LOOSER.get(answer_format) if is_about_format else None


def asked_in_words(messages: tuple[Message, ...], schema: dict[str, Any]) -> tuple[Message, ...]:
    """`messages` with the schema told at the end of the last one: some endpoints want user and assistant to alternate.

    >>> asked_in_words((Message(role="user", content="Why?"),), {"type": "object"})[-1].content
    'Why?\\n\\nAnswer with one JSON object only, of this JSON schema: {"type":"object"}'
    """
    shape = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    request = f"Answer with one JSON object only, of this JSON schema: {shape}"
    *before, last = messages
    if last.content.endswith(request):
        return messages
    if last.role != "user":
        return (*messages, Message(role="user", content=request))
    return (*before, Message(role="user", content=f"{last.content}\n\n{request}"))
