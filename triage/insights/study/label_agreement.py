"""Agreement of those who gave the labels: people with each other, and models with people's gold labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Unpack

from pydantic import BaseModel

from triage.agreement import Interval, MeanAgreement, mean_agreement, pair_figure
from triage.agreement.interval import Resampling
from triage.agreement.ratings import LabelSet, Ratings, pairs_of
from triage.domain.annotation import Annotation
from triage.domain.taxonomy import Facet, Taxonomy

MOST_PAIRS = 10
"""The most pairs that are listed: those with the most shared incidents."""
MOST_PEOPLE = 12
"""The most people that are compared: those who labelled the most incidents."""


class LabellingPair(BaseModel, frozen=True):
    """Two who labelled the same `n` incidents: two people, or people's gold labels and a model.

    `value` is Cohen's kappa of the primary labels, or alpha of the label sets for a facet with many (MASI distance);
    None if it is undefined, which `undefined` explains.
    """

    first: str
    second: str
    kind: Literal["people", "gold and model"]
    n: int
    value: float | None
    interval: Interval | None
    undefined: str | None


class FacetLabels(BaseModel, frozen=True):
    """Who labelled a facet: `overlap` counts the incidents that at least two people labelled.

    `people` is the mean agreement over all pairs of people. `pairs` lists the pairs with the most shared incidents, out
    of `n_pairs`, and each model with people's gold labels.
    """

    facet: str
    n_people: int
    n_models: int
    overlap: int
    people: MeanAgreement
    n_pairs: int
    pairs: tuple[LabellingPair, ...]


def label_agreement(
    annotations: Iterable[Annotation], taxonomy: Taxonomy, **options: Unpack[Resampling]
) -> list[FacetLabels]:
    """The agreement on each labelled facet. `annotations` are oldest first.

    Annotations with a facet or label that the taxonomy lacks are left out.
    """
    known = {facet.id: set(facet.ids) for facet in taxonomy.facets}
    given: dict[str, list[Annotation]] = {}
    for annotation in annotations:
        if set(annotation.labels) <= known.get(annotation.facet, set()):
            given.setdefault(annotation.facet, []).append(annotation)
    return [_of_facet(facet, Ratings.of(given[facet.id]), options) for facet in taxonomy.facets if facet.id in given]


def _of_facet(facet: Facet, ratings: Ratings, options: Resampling) -> FacetLabels:
    everyone, models = ratings.columns("human"), ratings.columns("model")
    people = sorted(sorted(everyone, key=ratings.count, reverse=True)[:MOST_PEOPLE])
    both = {(a, b): ratings.both(a, b) for a, b in pairs_of(people)}
    most = sorted(both, key=lambda pair: -len(both[pair]))[:MOST_PAIRS]
    name = [annotator.name for annotator in ratings.annotators]
    pairs = [_pair(facet, name[a], name[b], "people", both[a, b], options) for a, b in most if both[a, b]]
    with_gold = [(name[column], ratings.with_gold(column, ratings.gold)) for column in models]
    pairs += [_pair(facet, "gold", model, "gold and model", labels, options) for model, labels in with_gold if labels]
    return FacetLabels(
        facet=facet.id,
        n_people=len(everyone),
        n_models=len(models),
        overlap=ratings.overlap(everyone),
        people=_mean(facet, ratings, people, pairs, options),
        n_pairs=len(pairs_of(everyone)),
        pairs=tuple(pairs),
    )


def _mean(
    facet: Facet, ratings: Ratings, people: Sequence[int], pairs: Sequence[LabellingPair], options: Resampling
) -> MeanAgreement:
    if len(people) < 2:
        reason = (
            f"only {ratings.annotators[people[0]].name} labelled it" if people else "no person's own labels are here"
        )
        return MeanAgreement(value=None, pairs=0, undefined=reason)
    of_people = [pair for pair in pairs if pair.kind == "people"]
    if len(people) == 2 and of_people:
        pair = of_people[0]
        return MeanAgreement(value=pair.value, pairs=1, n=pair.n, interval=pair.interval, undefined=pair.undefined)
    return mean_agreement(ratings.rows, pairs_of(people), of_sets=facet.cardinality == "multi", **options)


def _pair(
    facet: Facet,
    first: str,
    second: str,
    kind: Literal["people", "gold and model"],
    both: Sequence[tuple[LabelSet, LabelSet]],
    options: Resampling,
) -> LabellingPair:
    figure = pair_figure(facet, both, **options)
    return LabellingPair(
        first=first,
        second=second,
        kind=kind,
        n=len(both),
        value=figure.value,
        interval=figure.interval,
        undefined=figure.undefined,
    )
