"""What may be watched of the calls to chat models: a port for metrics, and counters in memory."""

from __future__ import annotations

import time
from collections import Counter
from typing import Protocol

from triage.domain.errors import ModelUnavailable
from triage.models.chat import ChatModel, Reply, Request
from triage.models.chat.breaker import State
from triage.models.chat.prices import Price


class ModelObserver(Protocol):
    """Is told of every call, on the event loop: it must not block, and not raise."""

    def called(
        self,
        model: str,
        *,
        prompt_tokens: int,
        completion_tokens: int,
        cost: float | None,
        seconds: float,
        retries: int,
        error_kind: str | None,
    ) -> None:
        """A call ended, with all its retries. `cost` is in US dollars, None where the price is unknown.

        `error_kind` is None for an answer, else one of `ERROR_KINDS`.
        """
        ...

    def breaker_changed(self, model: str, state: State) -> None:
        """The breaker of a model is `closed`, `open` or `half_open` from now on."""
        ...


ERROR_KINDS = (
    "timeout", "connection", "unusable_reply", "rate_limit", "server_error", "rejected", "refusal", "own_limit", "other"
)  # fmt: skip


class Unobserved:
    """Nobody watches."""

    def called(self, model: str, **_: object) -> None:
        """Nothing."""

    def breaker_changed(self, model: str, state: State) -> None:
        """Nothing."""


class Counters:
    """Counts since the start of the process, by model; `errors` by model and kind, `breakers` the latest states."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.prompt_tokens: Counter[str] = Counter()
        self.completion_tokens: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.errors: Counter[tuple[str, str]] = Counter()
        self.cost: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self.breakers: dict[str, State] = {}
        self.breaker_changes: list[tuple[str, State]] = []

    def called(
        self,
        model: str,
        *,
        prompt_tokens: int,
        completion_tokens: int,
        cost: float | None,
        seconds: float,
        retries: int,
        error_kind: str | None,
    ) -> None:
        """See `ModelObserver.called`."""
        self.calls[model] += 1
        self.prompt_tokens[model] += prompt_tokens
        self.completion_tokens[model] += completion_tokens
        self.retries[model] += retries
        self.cost[model] = self.cost.get(model, 0.0) + (cost or 0.0)
        self.seconds[model] = self.seconds.get(model, 0.0) + seconds
        if error_kind is not None:
            self.errors[model, error_kind] += 1

    def breaker_changed(self, model: str, state: State) -> None:
        """See `ModelObserver.breaker_changed`."""
        self.breakers[model] = state
        self.breaker_changes = [*self.breaker_changes[-99:], (model, state)]


class ObservedChat:
    """A chat model whose calls an observer is told of. Implements the `ChatModel` port."""

    def __init__(self, model: ChatModel, observer: ModelObserver, price: Price | None = None) -> None:
        self._model = model
        self._observer = observer
        self._price = price

    @property
    def name(self) -> str:
        return self._model.name

    async def complete(self, request: Request) -> Reply:
        """See `ChatModel.complete`. A call that is cancelled is told of as a timeout."""
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
            self._observer.called(
                self.name,
                prompt_tokens=tokens[0],
                completion_tokens=tokens[1],
                cost=self._price.of(*tokens) if self._price else None,
                seconds=time.perf_counter() - start,
                retries=retries,
                error_kind=kind or None,
            )


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
