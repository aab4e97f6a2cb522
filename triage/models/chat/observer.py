"""Observing calls to chat models: a port for metrics."""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

from triage.domain.errors import ModelUnavailable
from triage.models.chat import ChatModel, Reply, Request
from triage.models.chat.breaker import State
from triage.models.chat.prices import Price

ERROR_KINDS = (
    "timeout", "connection", "unusable_reply", "rate_limit", "server_error", "rejected", "refusal", "own_limit", "other"
)  # fmt: skip


class FinishedCall(NamedTuple):
    """A call that ended, including its retries. `cost` is in US dollars, None if the price is unknown.

    `error_kind` is None for an answer, else one of `ERROR_KINDS`.
    """

    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: float
    retries: int
    error_kind: str | None


class ModelObserver(Protocol):
    """Notified of every call, on the event loop: it must neither block nor raise."""

    def called(self, call: FinishedCall) -> None:
        """A call ended."""
        ...

    def breaker_changed(self, model: str, state: State) -> None:
        """The circuit breaker of a model changed its state."""
        ...


class ObservedChat:
    """A chat model that notifies an observer of its calls. Implements the `ChatModel` port."""

    def __init__(self, model: ChatModel, observer: ModelObserver, price: Price | None = None) -> None:
        self.name = model.name
        self._model = model
        self._observer = observer
        self._price = price

    async def complete(self, request: Request) -> Reply:
        """See `ChatModel.complete`. A cancelled call counts as a timeout."""
        start = time.perf_counter()
        reply, retries, kind = Reply(text=""), 0, "timeout"
        try:
            reply = await self._model.complete(request)
            retries, kind = reply.retries, ""
        except ModelUnavailable as error:
            retries, kind = max(error.data.get("attempts", 1) - 1, 0), error_kind(error)
            raise
        else:
            return reply
        finally:
            tokens = reply.prompt_tokens, reply.completion_tokens
            cost = self._price.of(*tokens) if self._price else None
            seconds = time.perf_counter() - start
            self._observer.called(FinishedCall(self.name, *tokens, cost, seconds, retries, kind or None))


def error_kind(error: ModelUnavailable) -> str:
    """Which of `ERROR_KINDS` an error is."""
    cause, status = error.data.get("cause"), error.data.get("status")
    if cause in ERROR_KINDS:
        return str(cause)
    if "finish_reason" in error.data:
        return "refusal"
    if status is None:
        return "other"
    return "rate_limit" if status == 429 else "server_error" if status >= 500 else "rejected"
