"""The decision: combines the model, the definitions and the history into the labels of each facet, or abstains."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.triage_result import FacetResult, LabelProbability, Neighbour
from triage.pipeline.classification import Answer, normalised
from triage.render.quantities import percent

VOTE_TEMPERATURE = 0.1
"""Cosine difference at which a neighbour's vote falls to 1/e."""

FLOORS = {
    "model": 4e-4,
    "prior": 0.02,
    "neighbours": 0.02,
    "words": 5e-3,
    "embedding": 5e-3,
    "cues": 5e-3,
    "children": 5e-3,
    "definitions": 1e-6,
}
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
    cues: float = 0.0
    children: float = 0.0


WEIGHTS = Weights()
WEIGHTS_WITH_CUES = Weights(definitions=0.3, words=0.5, embedding=0.0, cues=1.0)
"""For facets with cues, see evals/bench/decision.py."""

SEVERAL = ("model", "neighbours", "cues")
"""The sources that are used for multi-label facets."""

RULE = f"logarithmic pool 3, temperature {VOTE_TEMPERATURE}"
"""The version of the rule and its sources in runs and calibrators; raise it when a source changes."""


class FacetRule(NamedTuple):
    """How one facet is decided: exponents of the sources, log-scale biases of the labels, and thresholds.

    The facet abstains if its best label is less likely than `abstain_below`: without a fitted threshold, if it is not
    more likely than all others together. Further labels are given from `second_label` on. `is_calibrated` is False for
    the default rules.
    """

    weights: Mapping[str, float] = WEIGHTS._asdict()
    biases: Mapping[str, float] = {}
    abstain_below: float = 0.5
    second_label: float = SECOND_LABEL
    is_calibrated: bool = False


def default_rule(sources: Collection[str]) -> FacetRule:
    """The rule of a facet without a fitted one, by its sources.

    What its child labels say counts as much as all other sources together: the geometric mean of both.
    """
    weights = (WEIGHTS_WITH_CUES if "cues" in sources else WEIGHTS)._asdict()
    if "children" in sources:
        weights = {source: weight / 2 for source, weight in weights.items()} | {"children": 0.5}
    return FacetRule(weights=weights)


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
    distributions', 1986). What the labels of a refining facet say of the facet above is one more source of that facet
    (`children`). Without an answer the other sources decide. A facet abstains if no source has anything on it, or if
    its best label is not likely enough for its rule.
    """

    def rule_of(facet: Facet) -> FacetRule:
        rule, sources = (rules or {}).get(facet.id), sources_of[facet.id]
        if rule is None or any(weight > 0 and source not in sources for source, weight in rule.weights.items()):
            # None was fitted, or it was fitted for a source that is missing now, such as a model that can't be reached.
            return default_rule(sources)
        return rule

    voters = [n for n in neighbours if not n.is_near_duplicate] or list(neighbours)
    sources_of: dict[str, dict[str, dict[str, float]]] = {}
    for facet in taxonomy.triaged:
        sources: dict[str, dict[str, float]] = {
            source: dict(shares)
            for source, shares in {"neighbours": vote(facet, voters), **(learned or {}).get(facet.id, {})}.items()
            if shares
        }
        answer = answers.get(facet.id)
        if answer is not None:
            sources |= {"model": answer.distribution} | ({"prior": answer.prior} if answer.prior else {})
        sources_of[facet.id] = sources
    for facet in reversed(taxonomy.triaged):
        if sums := _sums_of_children(taxonomy, facet, sources_of):
            sources_of[facet.id]["children"] = sums
    pools = {facet.id: combine(facet, sources_of[facet.id], rule_of(facet)) for facet in taxonomy.triaged}
    pools = share_out(taxonomy.triaged, pools)
    results: dict[str, FacetResult] = {}
    for facet in taxonomy.triaged:
        answer = answers.get(facet.id)
        results[facet.id] = _decide_facet(
            facet,
            pools[facet.id],
            sources_of[facet.id],
            answer.rationale if answer else "",
            results.get(facet.parent or ""),
            rule_of(facet),
        )
    return results


def share_out(facets: Sequence[Facet], pools: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Facet -> label -> probability, best first, in which a label is as likely as its child labels together.

    `pools` holds the distribution of each facet by itself; one without sources is empty. The probability of a parent
    label is shared among its children in their proportions. Multi-label facets are left as they are.
    """
    shared = {facet: dict(pool) for facet, pool in pools.items()}
    for facet in facets:
        above = shared.get(facet.parent or "")
        if above and facet.cardinality != "multi":
            sums = _sums(facet, shared[facet.id])
            shared[facet.id] = {
                label: p / sums[parent] * above.get(parent, 0.0)
                for label, p in shared[facet.id].items()
                if (parent := facet.label(label).parent or "") and sums[parent]
            }
    return {facet: _ranked(pool) for facet, pool in shared.items()}


def _sums_of_children(
    taxonomy: Taxonomy, facet: Facet, sources_of: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> dict[str, float]:
    """What the facet that refines this one says of it, by the default rule; empty if no facet refines every label."""
    for child in taxonomy.triaged:
        if child.parent == facet.id and "multi" not in (child.cardinality, facet.cardinality):
            sums = _sums(child, combine(child, sources_of[child.id]))
            if sums.keys() == set(facet.ids):
                return _ranked(sums)
    return {}


def _sums(child: Facet, pool: Mapping[str, float]) -> dict[str, float]:
    """Parent label -> the sum of its children's probabilities."""
    sums: dict[str, float] = {}
    for label, p in pool.items():
        parent = child.label(label).parent or ""
        sums[parent] = sums.get(parent, 0.0) + p
    return sums


def _ranked(pool: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(pool.items(), key=lambda item: -item[1]))


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


def combine(facet: Facet, sources: Sources, rule: FacetRule | None = None) -> dict[str, float]:
    """Label -> probability, best first; empty without sources. In a multi-label facet they are independent.

    Without a rule it is the default one.
    """
    rule = rule or default_rule(sources)
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
    return _ranked({label: p for label, p in pooled.items() if p > 0})


def _shifted(p: float, bias: float) -> float:
    """`p` with its log-odds moved by `bias`."""
    bounded = min(max(p, 1e-3), 1 - 1e-3)
    return 1 / (1 + math.exp(-(math.log(bounded / (1 - bounded)) + bias)))


def _decide_facet(
    facet: Facet,
    distribution: Mapping[str, float],
    sources: dict[str, dict[str, float]],
    rationale: str,
    parent: FacetResult | None,
    rule: FacetRule,
) -> FacetResult:
    # A parent that abstains counts with its likeliest label, if it has one.
    parents = None if parent is None else parent.labels or tuple(each.label for each in parent.distribution[:1])
    if parents is not None:
        allowed = {label.id for label in facet.children(parents)}
        distribution = {label: p for label, p in distribution.items() if label in allowed}
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


def close_labels(distribution: Mapping[str, float]) -> list[str]:
    """The labels that are close, best first: of the first three, those at least a third as likely as the first.

    `distribution` is best first; empty without one.
    """
    ranked = list(distribution)[:3]
    return [label for label in ranked if distribution[label] >= distribution[ranked[0]] / 3]


def _close(facet: Facet, distribution: Mapping[str, float]) -> str:
    """The labels that are close, and the deciding rule that separates them."""
    close = close_labels(distribution)
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
