"""Spans of calls to chat models and embedders, named by OpenTelemetry's conventions for generative AI.

Source: https://github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from triage.models.chat import Reply, Request
from triage.observability.spans import Value, current, is_on, keeps_content
from triage.observability.spans import span as open_span

_PORTS = {"http": 80, "https": 443}


class Endpoint(NamedTuple):
    """Where a model runs: the provider's name in the conventions, and the server if it is known."""

    provider: str
    address: str | None = None
    port: int | None = None

    @classmethod
    def of(cls, provider: str, url: str) -> Endpoint:
        """The endpoint at a base URL.

        >>> Endpoint.of("openai", "https://api.openai.com/v1/")
        Endpoint(provider='openai', address='api.openai.com', port=443)
        """
        parts = urlsplit(url)
        return cls(provider, parts.hostname, parts.port or _PORTS.get(parts.scheme))

    def attributes(self, operation: str, model: str) -> dict[str, Value | None]:
        """The attributes that spans of all calls have."""
        return {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": self.provider,
            "gen_ai.request.model": model,
            "server.address": self.address,
            "server.port": self.port,
        }


Complete = Callable[[Any, Request], Coroutine[Any, Any, Reply]]


def traced(complete: Complete) -> Complete:
    """Wrap `ChatModel.complete` of a model with `model_id` and `endpoint` in a span; failed tries are its events."""

    @functools.wraps(complete)
    async def complete_traced(self: Any, request: Request) -> Reply:
        if not is_on():
            return await complete(self, request)
        attributes = self.endpoint.attributes("chat", self.model_id) | {
            "gen_ai.request.temperature": request.temperature,
            "gen_ai.request.max_tokens": request.max_tokens,
            "gen_ai.output.type": "text" if request.schema_ is None else "json",
        }
        with open_span(f"chat {self.model_id}", attributes, kind="client") as span:
            if keeps_content():
                span.set({"gen_ai.input.messages": _content(*((each.role, each.content) for each in request.messages))})
            reply = await complete(self, request)
            span.set(
                {
                    "gen_ai.response.model": reply.model or None,
                    "gen_ai.response.finish_reasons": (reply.finish_reason,),
                    "gen_ai.usage.input_tokens": reply.prompt_tokens,
                    "gen_ai.usage.output_tokens": reply.completion_tokens,
                    "triage.retries": reply.retries,
                }
            )
            if keeps_content():
                span.set(
                    {"gen_ai.output.messages": _content(("assistant", reply.text), finish_reason=reply.finish_reason)}
                )
            return reply

    return complete_traced


def record_failed_try(number: int, error: BaseException, status: int | None, wait_s: float) -> None:
    """Add an event to the open span: a try failed, and the next one follows after `wait_s`."""
    if is_on():
        kind = str(status) if status else type(error).__name__
        current().event(
            "triage.try_failed", {"triage.try": number, "error.type": kind, "triage.wait_s": round(wait_s, 3)}
        )


def _content(*messages: tuple[str, str], **more: str) -> str:
    """Messages (role, content) as JSON, each with the fields `more`."""
    parts = [{"role": role, "parts": [{"type": "text", "content": text}], **more} for role, text in messages]
    return json.dumps(parts, ensure_ascii=False)
