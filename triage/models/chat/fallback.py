"""The fallback chain: who is asked when the model that should answer doesn't, and how long each of them may take."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from triage.domain.errors import ModelUnavailable
from triage.models.chat.deadline import within

T = TypeVar("T")


class Candidate(NamedTuple):
    """A model that may be asked, and the most time it gets, in seconds."""

    model: str
    most_s: float = math.inf


class Failure(NamedTuple):
    """A model that gave no answer, and why."""

    model: str
    why: str


class Answered(NamedTuple, Generic[T]):
    """What the candidate at `place` answered, and those before it that didn't."""

    result: T
    place: int
    failures: tuple[Failure, ...]


async def first_to_answer(
    candidates: Sequence[Candidate], ask: Callable[[int], Awaitable[T]], deadline_s: float | None
) -> Answered[T]:
    """What the first of `candidates` that answers says. `ask` is called with a place, one at a time.

    All of them together get `deadline_s`: each but the last at most half of what is left, so that one which hangs
    leaves time for the next. Without a deadline each may take as long as its calls allow. Raises `ModelUnavailable`
    when none answered: the error of the only one, or one that tells them all.
    """
    if deadline_s is None:
        return await _first(candidates, ask, math.inf)
    async with within(deadline_s):
        return await _first(candidates, ask, asyncio.get_running_loop().time() + deadline_s)


async def _first(candidates: Sequence[Candidate], ask: Callable[[int], Awaitable[T]], ends_at: float) -> Answered[T]:
    failures: list[Failure] = []
    for place, candidate in enumerate(candidates):
        try:
            if math.isinf(ends_at):
                return Answered(await ask(place), place, tuple(failures))
            left_s = max(ends_at - asyncio.get_running_loop().time(), 0.0)
            share_s = left_s if place == len(candidates) - 1 else left_s / 2
            async with within(min(share_s, candidate.most_s)):
                return Answered(await ask(place), place, tuple(failures))
        except ModelUnavailable as error:
            if len(candidates) == 1:
                raise
            failures.append(Failure(candidate.model, error.detail))
    raise ModelUnavailable(f"No model gave an answer. {told(failures)}", models=[one.model for one in failures])


def told(failures: Sequence[Failure]) -> str:
    """Which models failed and why, in a sentence for each.

    >>> told([Failure("big", "It is down."), Failure("small", "No key.")])
    'big: It is down. small: No key.'
    """
    return " ".join(f"{one.model}: {one.why}" for one in failures)
