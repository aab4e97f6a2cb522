"""When a call is sent again: the service was busy or not reached, and its `Retry-After` is kept to."""

from __future__ import annotations

from typing import Any, NamedTuple

import tenacity

from triage.client.errors import Busy, Unreachable

_FIRST_S = 0.2
_MOST_S = 20.0


class Patience(NamedTuple):
    """How often a call is tried in all, and for how long; a wait that would end later is not begun."""

    tries: int = 4
    seconds: float = 60.0

    def policy(self) -> dict[str, Any]:
        """The arguments of tenacity's `Retrying` and `AsyncRetrying`."""
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


_backoff = tenacity.wait_random_exponential(multiplier=_FIRST_S, max=_MOST_S)
