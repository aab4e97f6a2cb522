"""Ways to an answer: models that are asked in turn, and what each answered until it was done or failed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from triage.domain.errors import ModelUnavailable
from triage.domain.taxonomy import Taxonomy
from triage.models.chat.fallback import Candidate, describe_failures, first_to_answer
from triage.models.chat.prices import Price
from triage.pipeline.calibration import UNCALIBRATED, Calibration
from triage.pipeline.cascade import weighs_model
from triage.pipeline.classification import Classification, Classifier


class Way(NamedTuple):
    """A way to an answer: a model, how to ask it, and how to calibrate its answers.

    The model reads at most `write_up_characters` of a write-up, and is asked for at most `most_s` seconds where another
    way follows. `calibration` must have been fitted for this model. `price` is None where it is unknown.
    """

    model: str
    classifier: Classifier
    calibration: Calibration = UNCALIBRATED
    write_up_characters: int = 24_000
    most_s: float = math.inf
    price: Price | None = None


@dataclass
class Tried:
    """A way that was tried: what it answered so far, and what that took. Quotes are by facet, and not verified yet."""

    way: Way
    found: Classification = field(default_factory=Classification)
    quotes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    was_condensed: bool = False

    def add(self, part: Classification) -> None:
        """Add a part of the answers."""
        self.found += part
        self.quotes |= {facet: answer.quotes for facet, answer in part.answers.items() if answer.quotes}


class Outcome(NamedTuple):
    """The first way that answered, or the one that answered most; and all that were tried.

    `waited_s` is how long they took together. `failure` says why some or all of them failed, None if none did.
    `is_whole` is False if no way answered everything.
    """

    best: Tried
    tries: Sequence[Tried]
    waited_s: float
    failure: str | None
    is_whole: bool

    @property
    def cost(self) -> float | None:
        """US dollars for the tokens that were paid for; None if a price is unknown or no model answered."""
        paid = [(tried.way.price, tried.found.usage) for tried in self.tries if tried.found.usage.model_calls]
        costs = [
            price.of(
                usage.prompt_tokens - usage.cached_prompt_tokens,
                usage.completion_tokens - usage.cached_completion_tokens,
            )
            for price, usage in paid
            if price is not None
        ]
        return sum(costs) if costs and len(costs) == len(paid) else None


async def ask_in_turn(
    ways: Sequence[Way], ask: Callable[[Tried], Awaitable[None]], deadline_s: float | None
) -> Outcome:
    """Ask the ways in order until one answers; see `first_to_answer`. `ask` fills what it gets as answers come."""
    tries: list[Tried] = []
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def attempt(place: int) -> Tried:
        tries.append(Tried(ways[place]))
        await ask(tries[-1])
        return tries[-1]

    try:
        candidates = [Candidate(way.model, way.most_s) for way in ways]
        best, _, failures = await first_to_answer(candidates, attempt, deadline_s)
    except ModelUnavailable as error:
        best = max(tries, key=lambda tried: len(tried.found.answers))
        return Outcome(best, tries, loop.time() - began, error.detail, is_whole=False)
    failure = describe_failures(failures) if failures else None
    return Outcome(best, tries, loop.time() - began, failure, is_whole=True)


def rules_for(taxonomy: Taxonomy, own: Calibration, alone: Calibration, answered: Collection[str]) -> Calibration:
    """The rules of a decision where a model answered some facets.

    Those facets, and those where the model has no weight, follow the rules fitted with the model (`own`). The others
    follow the rules fitted without one (`alone`).
    """
    used = {
        facet.id: own if facet.id in answered or not weighs_model(own.rules, facet.id) else alone
        for facet in taxonomy.triaged
    }
    names = dict.fromkeys(each.calibrator for each in used.values() if each.calibrator)
    warnings = dict.fromkeys(each.warning for each in (own, *used.values()) if each.warning)
    rules = {facet: each.rules[facet] for facet, each in used.items() if facet in each.rules}
    return Calibration(" and ".join(names) or None, rules, " ".join(warnings) or None)
