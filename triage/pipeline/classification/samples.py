"""Several answers to one question: their shares replace the probabilities that a model doesn't give."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from triage.domain.errors import ModelUnavailable
from triage.models.chat import ChatModel, Reply, Request

TEMPERATURE = 0.7


async def sample(model: ChatModel, request: Request, count: int) -> list[Reply]:
    """Up to `count` replies to `request` at `TEMPERATURE`, requested at once; failed calls are left out."""
    varied = [request.model_copy(update={"temperature": TEMPERATURE, "sample": n}) for n in range(1, count + 1)]
    replies = await asyncio.gather(*(_attempt(model, each) for each in varied))
    return [reply for reply in replies if reply is not None]


def smoothed_shares(votes: Sequence[str], labels: Iterable[str]) -> dict[str, float]:
    """Label -> posterior mean of its share, given `votes` and a prior of one vote, spread over `labels`.

    For two labels this is Jeffreys' prior; for many, half a vote for each would outweigh the votes (Berger, Bernardo
    and Sun, 'Overall objective priors', 2015).

    >>> smoothed_shares(["a", "a", "b"], ["a", "b"])
    {'a': 0.625, 'b': 0.375}
    """
    labels = list(labels)
    return {label: (votes.count(label) + 1 / len(labels)) / (len(votes) + 1) for label in labels}


def mean(distributions: Sequence[dict[str, float]]) -> dict[str, float]:
    """Label -> the mean of its probabilities, best first; 0 in a distribution that lacks it."""
    labels = dict.fromkeys(label for distribution in distributions for label in distribution)
    means = {label: sum(d.get(label, 0.0) for d in distributions) / len(distributions) for label in labels}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


async def _attempt(model: ChatModel, request: Request) -> Reply | None:
    try:
        return await model.complete(request)
    except ModelUnavailable:
        return None
