"""An observer of model calls that counts them in memory."""

from __future__ import annotations

from collections import Counter

from triage.models.chat.breaker import State


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
        if error_kind is not None:
            self.errors[model, error_kind] += 1

    def breaker_changed(self, model: str, state: State) -> None:
        """See `ModelObserver.breaker_changed`."""
        self.breakers[model] = state
        self.breaker_changes.append((model, state))
