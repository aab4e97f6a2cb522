"""A chat model with all that stands between it and the pipeline: it is observed, budgeted and behind a breaker."""

from __future__ import annotations

import logging

from triage.models.chat import ChatModel
from triage.models.chat.breaker import Breaker, BreakerOptions, State
from triage.models.chat.budget import Budget, BudgetedChat, Ledger
from triage.models.chat.observing import ModelObserver, ObservedChat
from triage.models.chat.prices import Price

_log = logging.getLogger(__name__)


def guarded(
    model: ChatModel,
    ledger: Ledger,
    observer: ModelObserver,
    *,
    budget: Budget = Budget(),  # noqa: B008  immutable
    price: Price | None = None,
    breaker: BreakerOptions | None = None,
) -> Breaker:
    """`model` as the pipeline asks it. What the breaker rejects costs neither budget nor a call."""

    def changed(name: str, state: State) -> None:
        _log.log(logging.INFO if state == "half_open" else logging.WARNING, "The breaker of %s is %s", name, state)
        observer.breaker_changed(name, state)

    budgeted = BudgetedChat(ObservedChat(model, observer, price), ledger, budget, price)
    return Breaker(budgeted, breaker, changed)
