"""An observer of model calls that counts them in memory."""

from __future__ import annotations

from collections import Counter

from triage.models.chat.breaker import State
from triage.models.chat.observer import FinishedCall


class Counters:
    """Counts by model since its start; `errors` by model and kind, `breakers` holds the latest states."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.prompt_tokens: Counter[str] = Counter()
        self.completion_tokens: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.errors: Counter[tuple[str, str]] = Counter()
        self.cost: dict[str, float] = {}
        self.breakers: dict[str, State] = {}
        self.breaker_changes: list[tuple[str, State]] = []

    def called(self, call: FinishedCall) -> None:
        """See `ModelObserver.called`."""
        self.calls[call.model] += 1
        self.prompt_tokens[call.model] += call.prompt_tokens
        self.completion_tokens[call.model] += call.completion_tokens
        self.retries[call.model] += call.retries
        self.cost[call.model] = self.cost.get(call.model, 0.0) + (call.cost or 0.0)
        if call.error_kind is not None:
            self.errors[call.model, call.error_kind] += 1

    def breaker_changed(self, model: str, state: State) -> None:
        """See `ModelObserver.breaker_changed`."""
        self.breakers[model] = state
        self.breaker_changes.append((model, state))
