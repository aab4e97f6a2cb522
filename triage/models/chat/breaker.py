"""A circuit breaker: a provider in trouble is left alone for a while, and nobody waits for it meanwhile.

Each process has its own: it learns of the trouble from its own calls, and nothing has to be shared to open it.
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
"""All calls pass; none passes; one passes to see whether the provider is well again."""

OnChange = Callable[[str, State], None]
"""Called with the model's name and the new state."""


class BreakerOptions(NamedTuple):
    """When it opens, and for how long.

    It opens after `run` failures one after the other, or when `share` of the latest `window` calls failed. The first
    cool-down is `cool_down_s` long; after each trial that fails it is twice as long, up to `longest_cool_down_s`.
    """

    run: int = 5
    share: float = 0.5
    window: int = 20
    cool_down_s: float = 5.0
    longest_cool_down_s: float = 120.0


class BreakerOpen(ModelUnavailable):
    """The model was not asked, because it failed too often just now; `retry_after_s` in the data says when it is."""


class Breaker:
    """A chat model that is not asked while its provider is in trouble. Implements the `ChatModel` port.

    Only what is the provider's fault counts: no answer in time, a lost connection, a body that makes no sense, 5xx,
    and 429 once all retries were used up. A refused key or request, a refusal of the model and limits of our own
    don't. `passed`, `failed` and `rejected` count the calls since the start: those that the provider answered, those
    that it failed, and those that were not made.
    """

    def __init__(
        self, model: ChatModel, options: BreakerOptions | None = None, on_change: OnChange | None = None
    ) -> None:
        self._model = model
        self._options = options or BreakerOptions()
        self._on_change = on_change
        self.state: State = "closed"
        self.passed = self.failed = self.rejected = 0
        self._run = 0
        self._latest: deque[bool] = deque(maxlen=self._options.window)
        self._cool_down_s = self._options.cool_down_s
        self._try_at = -math.inf
        self._reason = ""
        # Calls that began before the last change say nothing about the provider after it.
        self._period = 0

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def retry_after_s(self) -> float:
        """Seconds until the provider is tried again; 0 where it may be asked now."""
        return 0.0 if self.state == "closed" else max(self._try_at - asyncio.get_running_loop().time(), 0.0)

    async def complete(self, request: Request) -> Reply:
        """See `ChatModel.complete`. Raises `BreakerOpen` at once while the provider is left alone."""
        self._admit()
        period, is_trial = self._period, self.state == "half_open"
        verdict: bool | None = None
        reason = ""
        try:
            reply = await self._model.complete(request)
            verdict = True
        except ModelUnavailable as error:
            verdict, reason = judged(error), error.detail
            raise
        else:
            return reply
        finally:
            # A call that was cancelled, or not made, says nothing: the next one is the trial then.
            if period == self._period:
                self._note(verdict, reason, is_trial=is_trial)

    def _admit(self) -> None:
        if self.state == "closed":
            return
        if self.state == "open" and self.retry_after_s <= 0:
            self._become("half_open")
            return
        self.rejected += 1
        wait_s = self.retry_after_s
        when = f"in {wait_s:.0f} s" if wait_s >= 1 else "in a moment"
        raise BreakerOpen(
            f"{self.name} is left alone after {self.failed} failures and is tried again {when}. Its last: "
            f"{self._reason}",
            cause="breaker",
            retry_after_s=round(wait_s, 3),
        )

    def _note(self, verdict: bool | None, reason: str, *, is_trial: bool) -> None:
        if verdict is None:
            if is_trial:
                self._become("open")
        elif verdict:
            self.passed += 1
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
            self._reason = reason
            if is_trial:
                self._cool_down_s = min(2 * self._cool_down_s, self._options.longest_cool_down_s)
            if is_trial or self._is_too_much():
                self._try_at = asyncio.get_running_loop().time() + self._cool_down_s
                self._become("open")

    def _is_too_much(self) -> bool:
        is_full = len(self._latest) == self._options.window
        return self._run >= self._options.run or (
            is_full and sum(self._latest) >= self._options.share * self._options.window
        )

    def _become(self, state: State) -> None:
        self.state = state
        self._period += 1
        if self._on_change is not None:
            self._on_change(self.name, state)


def judged(error: ModelUnavailable) -> bool | None:
    """False if the provider failed; True if it answered, if not as wished; None if it was not asked."""
    if error.data.get("cause") in {"own_limit", "breaker"}:
        return None
    if isinstance(error, UnusableAnswer) or "finish_reason" in error.data:
        return True
    status = error.data.get("status")
    return status is not None and not is_transient_status(status)
