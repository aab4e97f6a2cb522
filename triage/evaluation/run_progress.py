"""The progress of a run: rate, remaining time, tokens and cost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from triage.evaluation.journal import CaseRecord
from triage.models.chat.gate import Gate
from triage.models.chat.prices import Price

_WINDOW_S = 30.0


class RunProgress:
    """Counts the cases of one session as they finish. Tokens from the cache don't count."""

    def __init__(self, gate: Gate, price: Price | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.done = self.total = self.failed = self.cached_calls = self.prompt_tokens = self.completion_tokens = 0
        self._gate = gate
        self._price = price
        self._clock = clock
        self._started: float | None = None
        self._asked: deque[float] = deque()

    def reached(self, done: int, total: int) -> None:
        """Set how many cases are done, those of earlier sessions included."""
        self.done, self.total = done, total
        if self._started is None:
            self._started = self._clock()

    def finish(self, record: CaseRecord) -> None:
        """Count what a case spent."""
        self.failed += record.status == "failed"
        took = record.provenance
        if took is not None:
            self.cached_calls += took.cached_calls
            self.prompt_tokens += took.prompt_tokens - took.cached_prompt_tokens
            self.completion_tokens += took.completion_tokens - took.cached_completion_tokens
        if took is None or not took.cached_calls:
            self._asked.append(self._clock())

    @property
    def retries(self) -> int:
        """The number of retries, including those of unfinished cases."""
        return self._gate.retries

    @property
    def rate(self) -> float | None:
        """Cases per second over the last 30 seconds, without those from the cache; None before the first."""
        now = self._clock()
        while self._asked and self._asked[0] < now - _WINDOW_S:
            self._asked.popleft()
        since = min(now - (now if self._started is None else self._started), _WINDOW_S)
        return len(self._asked) / since if self._asked and since > 0 else None

    @property
    def eta_s(self) -> float | None:
        """Seconds left at this rate, at least until the last waiting call is retried; None if unknown."""
        rate = self.rate
        return None if rate is None else max((self.total - self.done) / rate, self._gate.longest_wait_s)

    @property
    def cost(self) -> float | None:
        """US dollars for the tokens of this session; None if the model's price is unknown."""
        return None if self._price is None else self._price.of(self.prompt_tokens, self.completion_tokens)

    def __str__(self) -> str:
        rate, eta_s = self.rate, self.eta_s
        parts = [
            *([f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.1f}/min"] if rate is not None else []),
            *([f"{_duration(eta_s)} left"] if eta_s is not None and self.done < self.total else []),
            f"{_short(self.prompt_tokens)}+{_short(self.completion_tokens)} tokens",
            f"${self.cost:.2f}" if self.cost is not None else "cost unknown",
            *([f"{self.retries} retries"] if self.retries else []),
            *([f"{self._gate.waiting} waiting"] if self._gate.waiting else []),
            *([f"{self.cached_calls} cached"] if self.cached_calls else []),
            *([f"{self.failed} failed"] if self.failed else []),
        ]
        return ", ".join(parts)


def _short(number: int) -> str:
    """A short form of a count.

    >>> [_short(n) for n in (950, 1234, 5_678_000)]
    ['950', '1.2k', '5.7M']
    """
    if number < 1_000:
        return str(number)
    return f"{number / 1_000:.1f}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"


def _duration(seconds: float) -> str:
    """
    >>> [_duration(s) for s in (0.4, 75, 4000)]
    ['1 s', '1:15 min', '1:07 h']
    """
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60}:{whole % 60:02} min" if whole < 3600 else f"{whole // 3600}:{whole % 3600 // 60:02} h"
