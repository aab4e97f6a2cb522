"""The decision: combines the model, the definitions and the history into the labels of each facet, or abstains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.triage_result import FacetResult, LabelProbability, Neighbour
from triage.pipeline.classification import Answer, normalised
from triage.render.quantities import percent

VOTE_TEMPERATURE = 0.1
"""Cosine difference at which a neighbour's vote falls to 1/e."""

FLOORS = {"model": 4e-4, "prior": 0.02, "neighbours": 0.02, "words": 5e-3, "embedding": 5e-3, "definitions": 1e-6}
"""The least probability of a label in each source, so that no source alone can rule it out."""

SECOND_LABEL = 0.3
"""Without a calibrator, a multi-label facet gives further labels from this probability on."""

Sources = Mapping[str, Mapping[str, float]]
"""Source -> label -> probability, as `FacetResult.sources` keeps them."""


class Weights(NamedTuple):
    """Exponents of the sources without a calibrator. Chosen on development data: evals/bench/decision.py."""

    model: float = 0.7
    definitions: float = 1.0
    words: float = 0.9
    embedding: float = 0.4
    neighbours: float = 0.25


WEIGHTS = Weights()

SEVERAL = ("model", "neighbours")
"""The sources that are used for multi-label facets."""

RULE = f"logarithmic pool 2, temperature {VOTE_TEMPERATURE}"
"""The version of the rule and its sources in runs and calibrators; raise it when a source changes."""


class FacetRule(NamedTuple):
    """How one facet is decided: exponents of the sources, log-scale biases of the labels, and thresholds.

    The facet abstains if its best label is less likely than `abstain_below`. Further labels are given from
    `second_label` on. `is_calibrated` is False for the default rule.
    """

    weights: Mapping[str, float] = WEIGHTS._asdict()
    biases: Mapping[str, float] = {}
    abstain_below: float = 0.0
    second_label: float = SECOND_LABEL
    is_calibrated: bool = False


DEFAULT_RULE = FacetRule()


def decide(
    taxonomy: Taxonomy,
    answers: Mapping[str, Answer],
    neighbours: Sequence[Neighbour],
    learned: Mapping[str, Sources] | None = None,
    rules: Mapping[str, FacetRule] | None = None,
) -> dict[str, FacetResult]:
    """The result for each triaged facet. Child labels are always under the labels decided for the parent facet.

    The model, the neighbours' vote and the `learned` sources (facet -> source -> label -> probability) are combined as
    a weighted product of probabilities (logarithmic opinion pool: Genest and Zidek, 'Combining probability
    distributions', 1986). Without an answer the other sources decide. A facet abstains if no source has anything on it,
    or if its best label is not likely enough for its rule.
    """
    voters = [n for n in neighbours if not n.is_near_duplicate] or list(neighbours)
    results: dict[str, FacetResult] = {}
    for facet in taxonomy.triaged:
        sources: dict[str, dict[str, float]] = {
            source: dict(shares)
            for source, shares in {"neighbours": vote(facet, voters), **(learned or {}).get(facet.id, {})}.items()
            if shares
        }
        answer = answers.get(facet.id)
        if answer is not None:
            sources |= {"model": answer.distribution} | ({"prior": answer.prior} if answer.prior else {})
        rule = (rules or {}).get(facet.id, DEFAULT_RULE)
        if rule.is_calibrated and any(weight > 0 and source not in sources for source, weight in rule.weights.items()):
            # Fitted for a source that is missing now, such as a model that can't be reached.
            rule = DEFAULT_RULE
        parent = results.get(facet.parent) if facet.parent else None
        results[facet.id] = _decide_facet(facet, sources, answer.rationale if answer else "", parent, rule)
    return results


def vote(facet: Facet, neighbours: Sequence[Neighbour]) -> dict[str, float]:
    """Label -> share of the neighbours' votes, weighted by exp(similarity / temperature); empty without votes.

    In a multi-label facet the shares may sum to more than 1.
    """
    labelled = [n for n in neighbours if n.labels.get(facet.id)]
    weights = [math.exp((n.similarity - 1) / VOTE_TEMPERATURE) for n in labelled]
    shares: dict[str, float] = {}
    for neighbour, weight in zip(labelled, weights, strict=True):
        given = neighbour.labels[facet.id]
        for label in given if facet.cardinality == "multi" else given[:1]:
            shares[label] = shares.get(label, 0.0) + weight / sum(weights)
    return {label: min(share, 1.0) for label, share in shares.items() if label in facet.ids}


def combine(facet: Facet, sources: Sources, rule: FacetRule = DEFAULT_RULE) -> dict[str, float]:
    """Label -> probability, best first; empty without sources. In a multi-label facet they are independent."""
    if facet.cardinality == "multi":
        return _combine_several(facet, sources, rule)
    scored = {source: scores for source, scores in log_scores(facet.ids, sources).items() if source in rule.weights}
    if not scored:
        return {}
    pooled = {
        label: rule.biases.get(label, 0.0) + sum(rule.weights[source] * scores[n] for source, scores in scored.items())
        for n, label in enumerate(facet.ids)
    }
    most = max(pooled.values())
    return normalised({label: math.exp(score - most) for label, score in pooled.items()})


def log_scores(labels: Sequence[str], sources: Sources) -> dict[str, list[float]]:
    """Source -> log-probability of each label, floored and centred; the prior is subtracted from the model's."""
    scores: dict[str, list[float]] = {}
    for source, shares in sources.items():
        if source == "prior":
            continue
        logs = [math.log(max(shares.get(label, 0.0), FLOORS[source])) for label in labels]
        if source == "model" and sources.get("prior"):
            prior = sources["prior"]
            logs = [
                log - math.log(max(prior.get(label, 0.0), FLOORS["prior"]))
                for log, label in zip(logs, labels, strict=True)
            ]
        mean = sum(logs) / len(logs)
        scores[source] = [log - mean for log in logs]
    return scores


def _combine_several(facet: Facet, sources: Sources, rule: FacetRule) -> dict[str, float]:
    """Each label's probability: the weighted mean of the model and the neighbours, shifted by the rule's biases."""
    shares_of = {source: sources[source] for source in SEVERAL if sources.get(source)}
    if not shares_of:
        return {}
    weights = {source: rule.weights.get(source, 0.0) for source in shares_of}
    total = sum(weights.values()) or 1.0
    pooled = {
        label: sum(weights[source] * min(shares.get(label, 0.0), 1.0) for source, shares in shares_of.items()) / total
        for label in facet.ids
    }
    if rule.is_calibrated:
        pooled = {label: _shifted(p, rule.biases.get(label, 0.0)) for label, p in pooled.items()}
    return dict(sorted(((k, p) for k, p in pooled.items() if p > 0), key=lambda item: -item[1]))


def _shifted(p: float, bias: float) -> float:
    """`p` with its log-odds moved by `bias`."""
    bounded = min(max(p, 1e-3), 1 - 1e-3)
    return 1 / (1 + math.exp(-(math.log(bounded / (1 - bounded)) + bias)))


def _decide_facet(
    facet: Facet,
    sources: dict[str, dict[str, float]],
    rationale: str,
    parent: FacetResult | None,
    rule: FacetRule,
) -> FacetResult:
    distribution = combine(facet, sources, rule)
    # A parent that abstains counts with its likeliest label, if it has one.
    parents = None if parent is None else parent.labels or tuple(each.label for each in parent.distribution[:1])
    if parents is not None:
        allowed = {label.id for label in facet.children(parents)}
        distribution = {label: p for label, p in distribution.items() if label in allowed}
        if distribution and parent is not None and facet.cardinality != "multi":
            # A child's probability is that under its parent, times the parent's.
            chance = min(1.0, sum(each.probability for each in parent.distribution if each.label in parents))
            distribution = {label: chance * p for label, p in normalised(distribution).items()}
    if not distribution:
        reason = _why_nothing(facet, "model" in sources, parents)
        return FacetResult(facet=facet.id, labels=(), abstention=reason, sources=sources)
    labels = _labels(facet, distribution, parents, rule.second_label)
    probability = distribution[labels[0]]
    abstention = None
    if parent is not None and parent.abstention:
        abstention = f"{facet.parent} is not decided, and {facet.id} depends on it. " + _close(facet, distribution)
    elif probability < rule.abstain_below:
        needed = percent(rule.abstain_below)
        missed = ", just missed" if needed == percent(probability) else ""
        abstention = f"Not sure enough: {facet.name.lower()} is abstained on below {needed}{missed}. " + _close(
            facet, distribution
        )
    others = sources.keys() - {"model", "prior"}
    return FacetResult(
        facet=facet.id,
        labels=() if abstention else labels,
        probability=round(probability, 4),
        distribution=tuple(LabelProbability(label=k, probability=round(p, 4)) for k, p in distribution.items()),
        rationale=rationale,
        abstention=abstention,
        origin="history" if "model" not in sources else "model and history" if others else "model",
        sources=sources,
        is_calibrated=rule.is_calibrated,
    )


def _labels(
    facet: Facet, distribution: Mapping[str, float], parents: tuple[str, ...] | None, second_label: float
) -> tuple[str, ...]:
    best = next(iter(distribution))
    if parents:
        # The primary child belongs to the primary parent.
        under = [label.id for label in facet.children(parents[:1]) if label.id in distribution]
        best = max(under, key=lambda label: distribution[label], default=best)
    if facet.cardinality == "single":
        return (best,)
    return (best, *(label for label, p in distribution.items() if p >= second_label and label != best))


def _close(facet: Facet, distribution: Mapping[str, float]) -> str:
    """The labels that are close, and the deciding rule that separates them."""
    ranked = list(distribution)[:3]
    close = [label for label in ranked if distribution[label] >= distribution[ranked[0]] / 3] or ranked[:1]
    shares = ", ".join(f"{label} ({percent(distribution[label])})" for label in close)
    settling = facet.label(close[0]).deciding_rule
    if len(close) > 1 and facet.label(close[0]).rival != close[1] and facet.label(close[1]).rival == close[0]:
        settling = facet.label(close[1]).deciding_rule
    return f"Close: {shares}. To settle it: {settling}"


def _why_nothing(facet: Facet, was_answered: bool, parents: tuple[str, ...] | None) -> str:
    if parents == ():
        return f"{facet.parent} is not decided, and {facet.id} depends on it."
    if not was_answered:
        return f"No model answer, and no similar incident in the history has a label for {facet.id}."
    return f"The model's answer for {facet.id} fits none of the labels under {', '.join(parents or ())}."
