"""What an endpoint supports of the chat completions API, learned from its errors."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from triage.models.chat import Message, Reply, Request
from triage.models.chat.retry import status_of

AnswerFormat = Literal["json_schema", "tool", "json_object", "text"]
"""How to ask for JSON that fits a schema, strictest first: the endpoint enforces the schema; the model must call a
tool with the schema as arguments; the endpoint enforces JSON; the prompt alone asks for it."""

# OpenRouter answers 404 if no provider supports tools; 501 is an adapter's own.
_UNSUPPORTED_STATUSES = frozenset({400, 403, 404, 422, 501})
_LOOSER: dict[AnswerFormat, AnswerFormat] = {"json_schema": "tool", "tool": "json_object", "json_object": "text"}
_FORMAT_WORDS = ("response_format", "schema", "json_object", "json mode", "grammar", "structured", "tool", "function")
_ANSWER = "answer"


@dataclass(frozen=True)
class Dialect:
    """What an endpoint supports of the chat completions API."""

    answer_format: AnswerFormat = "json_schema"
    takes_strict: bool = True
    most_logprobs: int = 20
    tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    takes_temperature: bool = True

    def arguments(self, request: Request) -> dict[str, Any]:
        """The body of `request`, without the model."""
        messages = request.messages
        arguments: dict[str, Any] = {self.tokens_field: request.max_tokens}
        if self.takes_temperature:
            arguments["temperature"] = request.temperature
        if request.schema_ is not None:
            arguments |= self._format_of(request.schema_)
            if self.answer_format in {"json_object", "text"}:
                messages = append_schema(messages, request.schema_)
        if request.top_logprobs and self.most_logprobs:
            arguments |= {"logprobs": True, "top_logprobs": min(request.top_logprobs, self.most_logprobs)}
        arguments["messages"] = [{"role": message.role, "content": message.content} for message in messages]
        return arguments

    def simpler(self, error: Exception, request: Request) -> Dialect | None:
        """The next dialect to try after `error`. None if the error is about something else."""
        if status_of(error) not in _UNSUPPORTED_STATUSES:
            return None
        complaint = f"{getattr(error, 'param', None) or ''} {error}".lower()
        if "logprob" in complaint and request.top_logprobs and self.most_logprobs:
            return replace(self, most_logprobs=5 if min(request.top_logprobs, self.most_logprobs) > 5 else 0)
        if "max_completion_tokens" in complaint and self.tokens_field == "max_tokens":
            return replace(self, tokens_field="max_completion_tokens")
        if "temperature" in complaint and self.takes_temperature:
            return replace(self, takes_temperature=False)
        return self._simpler_format(complaint) if request.schema_ is not None else None

    def _simpler_format(self, complaint: str) -> Dialect | None:
        if re.search(r"\bstrict\b", complaint) and self.takes_strict and self.answer_format in {"json_schema", "tool"}:
            return replace(self, takes_strict=False)
        is_about_format = any(word in complaint for word in _FORMAT_WORDS)
        looser = _LOOSER.get(self.answer_format) if is_about_format else None
        return looser and replace(self, answer_format=looser)

    def _format_of(self, schema: dict[str, Any]) -> dict[str, Any]:
        strict = {"strict": True} if self.takes_strict else {}
        match self.answer_format:
            case "json_schema":
                described = {"name": _ANSWER, **strict, "schema": schema}
                return {"response_format": {"type": "json_schema", "json_schema": described}}
            case "tool":
                function = {"name": _ANSWER, "description": "Give the answer.", **strict, "parameters": schema}
                return {
                    "tools": [{"type": "function", "function": function}],
                    "tool_choice": {"type": "function", "function": {"name": _ANSWER}},
                }
            case "json_object":
                return {"response_format": {"type": "json_object"}}
            case "text":
                return {}


class LearnedDialect:
    """The dialect that an endpoint is known to support, from `start` on."""

    def __init__(self, start: Dialect = Dialect()) -> None:
        self._known = start

    async def ask(self, send: Callable[[Request, Dialect], Awaitable[Reply]], request: Request) -> Reply:
        """Send `request` in the known dialect, and in simpler ones while the endpoint rejects it."""
        known = dialect = self._known
        while True:
            try:
                reply = await send(request, dialect)
            except Exception as error:
                simpler = dialect.simpler(error, request)
                if simpler is None:
                    raise
                dialect = simpler
                continue
            # Remember only what led to an answer: a wrong guess then costs one call. A call that learned nothing
            # must not overwrite what others learned meanwhile.
            if dialect is not known:
                self._known = dialect
            return reply


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
