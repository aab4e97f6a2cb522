"""The fallback chain: which model to ask next if one fails, and how much time each may take."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from triage.domain.errors import ModelUnavailable
from triage.models.chat.deadline import within

T = TypeVar("T")


class Candidate(NamedTuple):
    """A model in the chain, and the most seconds it may take."""

    model: str
    most_s: float = math.inf


class Failure(NamedTuple):
    """A model that gave no answer, and the reason."""

    model: str
    reason: str


class Answered(NamedTuple, Generic[T]):
    """The answer of the candidate at `place`, and the failures of those before it."""

    result: T
    place: int
    failures: tuple[Failure, ...]


async def first_to_answer(
    candidates: Sequence[Candidate], ask: Callable[[int], Awaitable[T]], deadline_s: float | None
) -> Answered[T]:
    """Ask the candidates in order until one answers. `ask` gets a candidate's place.

    All of them share `deadline_s`. Each but the last gets at most half of the remaining time, so that a candidate
    that hangs leaves time for the next. Without a deadline each takes as long as its calls allow. Raises
    `ModelUnavailable` if none answers: the error of a single candidate, else one error that names them all.
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
    raise ModelUnavailable(
        f"No model answered. {describe_failures(failures)}", models=[failure.model for failure in failures]
    )


def describe_failures(failures: Sequence[Failure]) -> str:
    """Name the models that failed and the reasons.

    >>> describe_failures([Failure("big", "It is down."), Failure("small", "No key.")])
    'big: It is down. small: No key.'
    """
    return " ".join(f"{failure.model}: {failure.reason}" for failure in failures)
