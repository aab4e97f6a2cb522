"""A daily budget of tokens and cost that all processes share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from triage.domain.errors import ModelUnavailable
from triage.models.chat import ChatModel, Reply, Request
from triage.models.chat.prices import Price

_log = logging.getLogger(__name__)

_CHARACTERS_PER_TOKEN = 4
_EXPECTED_ANSWER_TOKENS = 300


class Budget(NamedTuple):
    """What may be spent in a day (UTC): prompt plus completion tokens, and US dollars. None: no limit."""

    tokens: int | None = None
    cost: float | None = None


class Taken(NamedTuple):
    """What calls used, or are expected to. `cost` is in US dollars, 0 if the price is unknown."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def plus(self, other: Taken, sign: int = 1) -> Taken:
        """The sum, or the difference with a `sign` of -1."""
        return Taken._make(mine + sign * its for mine, its in zip(self, other, strict=True))


class Ledger(Protocol):
    """What was used, by day and model, shared by all processes. Raises whatever its database raises."""

    async def reserve(self, day: str, model: str, expected: Taken, budget: Budget, *, is_priced: bool) -> Taken:
        """Add `expected` unless the budget of the day is used up. Returns what all models had used before."""
        ...

    async def add(self, day: str, model: str, taken: Taken, *, is_priced: bool) -> None:
        """Add what was used; negative figures release a reservation."""
        ...


class BudgetUsedUp(ModelUnavailable):
    """The budget of the day is used up, so the model was not called."""

    title = "The budget of the day is used up"


class BudgetedChat:
    """A chat model that records its calls in a ledger and stops at the daily budget. Implements the `ChatModel` port.

    An estimate is reserved before each call and corrected after it, so that all processes together exceed the budget
    at most by the calls in flight. A cancelled call keeps its reservation: the provider may have charged for it.
    If the ledger can't be reached, this process continues with the last known figures.
    """

    def __init__(
        self,
        model: ChatModel,
        ledger: Ledger,
        budget: Budget = Budget(),  # noqa: B008  immutable
        price: Price | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = model.name
        self._model = model
        self._ledger = ledger
        self._budget = budget
        self._price = price
        self._now = now
        self._known: dict[str, Taken] = {}
        self._unrecorded: dict[str, Taken] = {}

    async def complete(self, request: Request) -> Reply:
        """See `ChatModel.complete`. Raises `BudgetUsedUp`."""
        day = f"{self._now().astimezone(UTC):%Y-%m-%d}"
        expected = Taken()
        if self._budget != Budget():
            expected = self._expected(request)
            await self._reserve(day, expected)
        try:
            reply = await self._model.complete(request)
        except ModelUnavailable:
            await self._add(day, Taken().plus(expected, -1))
            raise
        await self._add(day, self._taken(1, reply.prompt_tokens, reply.completion_tokens).plus(expected, -1))
        return reply

    async def _reserve(self, day: str, expected: Taken) -> None:
        is_recorded = True
        try:
            before = await self._ledger.reserve(
                day, self.name, expected, self._budget, is_priced=self._price is not None
            )
        except Exception as error:  # noqa: BLE001  each database raises its own kinds
            _log.warning("Can't read the daily budget (%s): using the last known figures.", error)
            before, is_recorded = self._known.get(day, Taken()), False
        if detail := explain_if_used_up(day, before, self._budget):
            raise BudgetUsedUp(detail, cause="own_limit", day=day)
        self._known = {day: before.plus(expected)}
        if not is_recorded:
            self._unrecorded[day] = self._unrecorded.get(day, Taken()).plus(expected)

    async def _add(self, day: str, taken: Taken) -> None:
        if day in self._known:
            self._known[day] = self._known[day].plus(taken)
        taken = taken.plus(self._unrecorded.pop(day, Taken()))
        if taken == Taken():
            return
        try:
            await self._ledger.add(day, self.name, taken, is_priced=self._price is not None)
        except Exception as error:  # noqa: BLE001  an answer must not be lost because it can't be counted
            _log.warning("Can't record the usage of a call (%s): it is added to the next call's.", error)
            self._unrecorded[day] = self._unrecorded.get(day, Taken()).plus(taken)

    def _expected(self, request: Request) -> Taken:
        prompt = sum(len(message.content) for message in request.messages) // _CHARACTERS_PER_TOKEN
        return self._taken(0, prompt, min(request.max_tokens, _EXPECTED_ANSWER_TOKENS))

    def _taken(self, calls: int, prompt_tokens: int, completion_tokens: int) -> Taken:
        cost = self._price.of(prompt_tokens, completion_tokens) if self._price else 0.0
        return Taken(calls, prompt_tokens, completion_tokens, cost)


def explain_if_used_up(day: str, taken: Taken, budget: Budget) -> str:
    """Say that the budget of `day` is used up; empty if it isn't.

    >>> explain_if_used_up("2026-11-25", Taken(1, 900, 150, 0.1), Budget(tokens=1000))
    'The budget of 1,000 tokens for 2026-11-25 is used up (1,050 of 1,000 tokens). It resets at 00:00 UTC.'
    """
    if budget.tokens is not None and taken.tokens >= budget.tokens:
        what, how_much = f"{budget.tokens:,} tokens", f"{taken.tokens:,} of {budget.tokens:,} tokens"
    elif budget.cost is not None and taken.cost >= budget.cost:
        what, how_much = f"${budget.cost:,.2f}", f"${taken.cost:,.2f} of ${budget.cost:,.2f}"
    else:
        return ""
    return f"The budget of {what} for {day} is used up ({how_much}). It resets at 00:00 UTC."
