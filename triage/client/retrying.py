"""When a call is sent again: the service was busy or unreachable. `Retry-After` is respected."""

from __future__ import annotations

from typing import Any, NamedTuple

import tenacity

from triage.client.errors import Busy, Unreachable

_backoff = tenacity.wait_random_exponential(multiplier=0.2, max=20.0)


class Patience(NamedTuple):
    """How many times a call is tried, and for how many seconds. A wait that would end later is not started."""

    tries: int = 4
    seconds: float = 60.0

    def policy(self) -> dict[str, Any]:
        """The arguments for tenacity's `Retrying` and `AsyncRetrying`."""
        return {
            "retry": tenacity.retry_if_exception_type((Busy, Unreachable)),
            "stop": tenacity.stop_after_attempt(self.tries) | tenacity.stop_before_delay(self.seconds),
            "wait": _wait_s,
            "reraise": True,
        }


def _wait_s(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.retry_after_s if isinstance(error, Busy) else None
    return asked_s if asked_s is not None else _backoff(state)
