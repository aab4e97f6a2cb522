"""A circuit breaker: stop calling a provider that fails, and try again after a while.

Each process has its own and learns from its own calls; nothing is shared.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple

from triage.domain.errors import ModelUnavailable, UnusableAnswer
from triage.models.chat import ChatModel, Reply, Request, is_transient_status

State = Literal["closed", "open", "half_open"]
"""All calls pass; no call passes; one trial call passes."""

OnChange = Callable[[str, State], None]
"""Called with the model's name and the new state."""


class BreakerOptions(NamedTuple):
    """When the breaker opens, and for how long.

    It opens after `run` consecutive failures, or when `share` of the latest `window` calls failed. The first cool-down
    takes `cool_down_s`; each failed trial doubles it, up to `longest_cool_down_s`.
    """

    run: int = 5
    share: float = 0.5
    window: int = 20
    cool_down_s: float = 5.0
    longest_cool_down_s: float = 120.0


class BreakerOpen(ModelUnavailable):
    """The model was not called because it failed too often. `retry_after_s` in the data is the remaining wait."""


class Breaker:
    """A chat model that isn't called while its provider fails. Implements the `ChatModel` port.

    Only the provider's failures count: timeouts, lost connections, unusable bodies, 5xx, and 429 once all retries are
    used up. Rejected keys and requests, refusals of the model and limits of our own don't. `failed` counts
    the provider's failures.
    """

    def __init__(
        self, model: ChatModel, options: BreakerOptions | None = None, on_change: OnChange | None = None
    ) -> None:
        self.name = model.name
        self._model = model
        self._options = options or BreakerOptions()
        self._on_change = on_change
        self.state: State = "closed"
        self.failed = 0
        self._run = 0
        self._latest: deque[bool] = deque(maxlen=self._options.window)
        self._cool_down_s = self._options.cool_down_s
        self._try_at = -math.inf
        self._last_failure = ""
        # Counts the changes of state: a call that began before the last one says nothing about the provider now.
        self._period = 0

    @property
    def retry_after_s(self) -> float:
        """Seconds until the provider may be called again; 0 if it may be called now."""
        return 0.0 if self.state == "closed" else max(self._try_at - asyncio.get_running_loop().time(), 0.0)

    async def complete(self, request: Request) -> Reply:
        """See `ChatModel.complete`. Raises `BreakerOpen` at once while the breaker is open."""
        self._admit()
        period, is_trial = self._period, self.state == "half_open"
        answered: bool | None = None
        detail = ""
        try:
            reply = await self._model.complete(request)
            answered = True
        except ModelUnavailable as error:
            answered, detail = did_provider_answer(error), error.detail
            raise
        else:
            return reply
        finally:
            # A call that was cancelled or not made proves nothing: the next call is the trial.
            if period == self._period:
                self._record(answered, detail, is_trial=is_trial)

    def _admit(self) -> None:
        if self.state == "closed":
            return
        if self.state == "open" and self.retry_after_s <= 0:
            self._become("half_open")
            return
        wait_s = self.retry_after_s
        when = f"in {wait_s:.0f} s" if wait_s >= 1 else "in a moment"
        raise BreakerOpen(
            f"{self.name} is not called after {self.failed} failures; it is tried again {when}. Last failure: "
            f"{self._last_failure}",
            cause="breaker",
            retry_after_s=round(wait_s, 3),
        )

    def _record(self, answered: bool | None, detail: str, *, is_trial: bool) -> None:
        if answered is None:
            if is_trial:
                self._become("open")
        elif answered:
            self._run = 0
            self._latest.append(False)
            if is_trial:
                self._cool_down_s = self._options.cool_down_s
                self._latest.clear()
                self._become("closed")
        else:
            self.failed += 1
            self._run += 1
            self._latest.append(True)
            self._last_failure = detail
            if is_trial:
                self._cool_down_s = min(2 * self._cool_down_s, self._options.longest_cool_down_s)
            if is_trial or self._fails_too_often():
                self._try_at = asyncio.get_running_loop().time() + self._cool_down_s
                self._become("open")

    def _fails_too_often(self) -> bool:
        is_full = len(self._latest) == self._options.window
        return self._run >= self._options.run or (
            is_full and sum(self._latest) >= self._options.share * self._options.window
        )

    def _become(self, state: State) -> None:
        self.state = state
        self._period += 1
        if self._on_change is not None:
            self._on_change(self.name, state)


def did_provider_answer(error: ModelUnavailable) -> bool | None:
    """False if the provider failed, True if it answered, even if unusably, None if it was not called."""
    if error.data.get("cause") in {"own_limit", "breaker"}:
        return None
    if isinstance(error, UnusableAnswer) or "finish_reason" in error.data:
        return True
    status = error.data.get("status")
    return status is not None and not is_transient_status(status)
