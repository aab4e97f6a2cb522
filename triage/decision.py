"""From what the model says and what similar incidents were, to the labels of each facet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from triage.classification import Answer, normalised
from triage.taxonomy import Facet, Taxonomy
from triage.triage_result import FacetResult, LabelProbability, Neighbour

VOTE_TEMPERATURE = 0.1
"""Cosine difference at which a neighbour's vote falls to 1/e."""

FLOOR = 0.02
"""Least probability of any label in either source: neither alone can rule a label out."""


class Weights(NamedTuple):
    """Exponents beside the model's 1: of its prior, of the neighbours' vote, and of what was learned from the words and
    the embeddings of the history. Chosen on development data, see evals/bench/decision.py."""

    prior: float = 1.0
    vote: float = 0.25
    words: float = 0.5
    embedding: float = 0.5


WEIGHTS = Weights()

SEVERAL_VOTE = 0.5
"""Weight of the neighbours' shares beside the model's 1 in a facet with several labels."""

SECOND_LABEL = 0.3
"""A further label is given in a facet with several from this probability on."""

RULE = f"logarithmic pool, {WEIGHTS._asdict()}, temperature {VOTE_TEMPERATURE}"
"""Names the rule in the record of a run: another rule is another run."""


def decide(
    taxonomy: Taxonomy,
    answers: Mapping[str, Answer],
    neighbours: Sequence[Neighbour],
    learned: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
) -> dict[str, FacetResult]:
    """The result for each triaged facet; child labels are always under the labels decided for the parent facet.

    Model, neighbours and what was `learned` from the history (facet -> source -> label -> probability) are combined as
    a weighted product of their probabilities (a logarithmic opinion pool: Genest and Zidek, 'Combining probability
    distributions', 1986). Without an answer the history decides alone; where it has nothing to say either, the facet
    abstains.
    """
    voters = [n for n in neighbours if not n.is_near_duplicate] or list(neighbours)
    results: dict[str, FacetResult] = {}
    for facet in taxonomy.triaged:
        parents = results[facet.parent].labels if facet.parent in results else None
        history = {"neighbours": vote(facet, voters), **(learned or {}).get(facet.id, {})}
        results[facet.id] = _decide_facet(facet, answers.get(facet.id), history, parents)
    return results


def vote(facet: Facet, neighbours: Sequence[Neighbour]) -> dict[str, float]:
    """Label -> share of the neighbours' votes, each weighted by exp(similarity / temperature); empty without any.

    In a facet that takes several labels a share is that of the neighbours with the label, and shares may sum to over 1.
    """
    labelled = [n for n in neighbours if n.labels.get(facet.id)]
    weights = [math.exp((n.similarity - 1) / VOTE_TEMPERATURE) for n in labelled]
    shares: dict[str, float] = {}
    for neighbour, weight in zip(labelled, weights, strict=True):
        given = neighbour.labels[facet.id]
        for label in given if facet.cardinality == "multi" else given[:1]:
            shares[label] = shares.get(label, 0.0) + weight / sum(weights)
    return {label: min(share, 1.0) for label, share in shares.items() if label in facet.ids}


def combine(
    facet: Facet,
    answer: Answer | None,
    history: Mapping[str, Mapping[str, float]],
    weights: Weights = WEIGHTS,
) -> dict[str, float]:
    """Label -> probability, best first; empty where no source says anything.

    `history` holds label -> probability for each source that has something to say: `neighbours`, `words`, `embedding`.
    """
    history = {source: shares for source, shares in history.items() if shares}
    if facet.cardinality == "multi":
        return _average(facet, answer, history.get("neighbours", {}))
    if answer is None and not history:
        return {}
    exponents = {"neighbours": weights.vote, "words": weights.words, "embedding": weights.embedding}
    pooled = {}
    for label in facet.ids:
        score = 0.0
        if answer is not None:
            score += math.log(max(answer.distribution.get(label, 0.0), FLOOR**2))
            if answer.prior:
                score -= weights.prior * math.log(max(answer.prior.get(label, 0.0), FLOOR))
        for source, shares in history.items():
            score += exponents[source] * math.log(max(shares.get(label, 0.0), FLOOR))
        pooled[label] = math.exp(score)
    return normalised(pooled)


def _average(facet: Facet, answer: Answer | None, votes: Mapping[str, float]) -> dict[str, float]:
    """For a facet with several labels: each label's probability, that of the model and the votes weighed."""
    if answer is None:
        pooled = dict(votes)
    else:
        weight = SEVERAL_VOTE / (1 + SEVERAL_VOTE) if votes else 0.0
        pooled = {
            label: (1 - weight) * answer.distribution.get(label, 0.0) + weight * votes.get(label, 0.0)
            for label in facet.ids
        }
    return dict(sorted(((k, p) for k, p in pooled.items() if p > 0), key=lambda item: -item[1]))


def _decide_facet(
    facet: Facet,
    answer: Answer | None,
    history: Mapping[str, Mapping[str, float]],
    parents: tuple[str, ...] | None,
) -> FacetResult:
    distribution = combine(facet, answer, history)
    if parents is not None:
        allowed = {label.id for label in facet.children(parents)}
        distribution = {label: p for label, p in distribution.items() if label in allowed}
        if distribution and facet.cardinality != "multi":
            distribution = normalised(distribution)
    sources = {source: dict(shares) for source, shares in history.items() if shares}
    has_history = bool(sources)
    if answer is not None:
        sources |= {"model": answer.distribution} | ({"prior": answer.prior} if answer.prior else {})
    if not distribution:
        return FacetResult(facet=facet.id, labels=(), abstention=_why_nothing(facet, answer, parents), sources=sources)
    return FacetResult(
        facet=facet.id,
        labels=_labels(facet, distribution, parents),
        probability=round(next(iter(distribution.values())), 4),
        distribution=tuple(LabelProbability(label=k, probability=round(p, 4)) for k, p in distribution.items()),
        rationale=answer.rationale if answer else "",
        origin="history" if answer is None else "model and history" if has_history else "model",
        sources=sources,
    )


def _labels(facet: Facet, distribution: Mapping[str, float], parents: tuple[str, ...] | None) -> tuple[str, ...]:
    best = next(iter(distribution))
    if parents:
        # The primary child belongs to the primary parent.
        under = [label.id for label in facet.children(parents[:1]) if label.id in distribution]
        best = max(under, key=lambda label: distribution[label], default=best)
    if facet.cardinality == "single":
        return (best,)
    return (best, *(label for label, p in distribution.items() if p >= SECOND_LABEL and label != best))


def _why_nothing(facet: Facet, answer: Answer | None, parents: tuple[str, ...] | None) -> str:
    if parents == ():
        return f"{facet.parent} is not decided, and {facet.id} depends on it."
    if answer is None:
        return f"No model answer, and no similar incident in the history has a label for {facet.id}."
    return f"The model's answer for {facet.id} fits none of the labels under {', '.join(parents or ())}."
