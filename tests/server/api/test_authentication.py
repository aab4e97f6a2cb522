from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from triage.server.api.authentication import RateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 1000), st.lists(st.floats(0, 30), min_size=1, max_size=200))
def test_nobody_gets_more_than_a_burst_and_their_rate(per_minute: int, pauses: list[float]) -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    allowed = 0
    for pause in pauses:
        clock.now += pause
        allowed += limiter.spend("a", per_minute).is_allowed
    assert allowed <= per_minute * (1 + clock.now / 60) + 1e-6


@given(st.integers(1, 1000))
def test_whoever_waits_as_long_as_told_is_let_through(per_minute: int) -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    for left in reversed(range(per_minute)):
        limit = limiter.spend("a", per_minute)
        assert (limit.is_allowed, limit.remaining) == (True, left)
    refused = limiter.spend("a", per_minute)
    assert not refused.is_allowed
    assert refused.headers("key") == {
        "RateLimit-Policy": f'"key";q={per_minute};w=60',
        "RateLimit": f'"key";r=0;t={refused.full_s}',
        "Retry-After": str(refused.next_s),
    }
    clock.now += refused.next_s
    assert limiter.spend("a", per_minute).is_allowed
    clock.now += refused.full_s
    assert limiter.spend("a", per_minute).remaining == per_minute - 1


def test_callers_do_not_spend_each_others_requests() -> None:
    limiter = RateLimiter(Clock())
    assert [limiter.spend(name, 1).is_allowed for name in "aabb"] == [True, False, True, False]
