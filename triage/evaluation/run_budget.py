"""The budget of a run: no case is started that might exceed it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from triage.evaluation.journal import CaseRecord
from triage.evaluation.suites import Budget
from triage.models.chat.prices import Price


class Spending:
    """Counts what the cases of a run spent, in earlier sessions too, and decides whether to start another.

    The next case is assumed to cost as much as the most expensive one so far, so the first case runs alone. Replies
    from a cache are free. Without a known price, a budget in money starts no case.
    """

    def __init__(
        self,
        budget: Budget | None,
        price: Price | None,
        earlier: Iterable[CaseRecord] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget = budget or Budget()
        self._price = price
        self._clock = clock
        self._started = clock()
        self._spent = dict.fromkeys(_KINDS, 0.0)
        self._dearest = dict.fromkeys(_KINDS, 0.0)
        self._seen = False
        self.stopped: str | None = None
        """Why no further case is started; None while the budget allows more."""
        for record in earlier:
            self.finish(record)

    def finish(self, record: CaseRecord) -> None:
        """Count what a case spent."""
        took = record.provenance
        if took is None:
            return
        prompt = took.prompt_tokens - took.cached_prompt_tokens
        completion = took.completion_tokens - took.cached_completion_tokens
        now = {
            "cost": self._price.of(prompt, completion) if self._price else 0.0,
            "tokens": float(prompt + completion),
            "calls": float(took.model_calls - took.cached_calls),
            "minutes": record.seconds / 60,
        }
        self._seen = True
        for kind, amount in now.items():
            self._spent[kind] += amount
            self._dearest[kind] = max(self._dearest[kind], amount)

    def allows(self, open_cases: int) -> bool:
        """True if another case may start while so many are open."""
        limits = {kind: limit for kind in _KINDS if (limit := getattr(self._budget, kind)) is not None}
        if not limits:
            return True
        if "cost" in limits and self._price is None:
            self.stopped = "the price of the model is not known, so a budget in money can't be kept: set TRIAGE_PRICES"
            return False
        if not self._seen:
            return open_cases == 0
        for kind, limit in limits.items():
            if kind == "minutes":
                spent, coming = (self._clock() - self._started) / 60, self._dearest[kind]
            else:
                spent, coming = self._spent[kind], (open_cases + 1) * self._dearest[kind]
            if spent + coming > limit:
                if spent + self._dearest[kind] > limit:
                    self.stopped = (
                        f"{spent:,.4g} of {limit:,.4g} {_KINDS[kind]} are spent, and another case may pass it"
                    )
                return False
        return True


_KINDS = {"cost": "US dollars", "tokens": "tokens", "calls": "calls of the model", "minutes": "minutes"}
