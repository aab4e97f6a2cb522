"""Several answers to one question: their spread stands in for the probabilities that a model doesn't give."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from triage.domain.errors import ModelUnavailable
from triage.models.chat import ChatModel, Reply, Request

TEMPERATURE = 0.7


async def sample(model: ChatModel, request: Request, count: int) -> list[Reply]:
    """Up to `count` replies to `request` at `TEMPERATURE`, asked for at once; calls that fail are left out."""
    varied = [request.model_copy(update={"temperature": TEMPERATURE, "sample": n}) for n in range(1, count + 1)]
    replies = await asyncio.gather(*(_attempt(model, one) for one in varied))
    return [reply for reply in replies if reply is not None]


def smoothed_shares(votes: Sequence[str], labels: Iterable[str]) -> dict[str, float]:
    """Label -> posterior mean of its share, given `votes` and a prior worth one vote that is spread over `labels`.

    For two labels that is Jeffreys' prior; for many, a half for each would outweigh a handful of votes (Berger,
    Bernardo and Sun, 'Overall objective priors', 2015).

    >>> smoothed_shares(["a", "a", "b"], ["a", "b"])
    {'a': 0.625, 'b': 0.375}
    """
    labels = list(labels)
    return {label: (votes.count(label) + 1 / len(labels)) / (len(votes) + 1) for label in labels}


def mean(distributions: Sequence[dict[str, float]]) -> dict[str, float]:
    """Label -> the mean of its probabilities, best first; a label that a distribution lacks counts 0 there."""
    labels = dict.fromkeys(label for distribution in distributions for label in distribution)
    means = {label: sum(d.get(label, 0.0) for d in distributions) / len(distributions) for label in labels}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


async def _attempt(model: ChatModel, request: Request) -> Reply | None:
    try:
        return await model.complete(request)
    except ModelUnavailable:
        return None
