"""Agreement of people with each other and with the model, as one more annotator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from triage.agreement import Alpha, Kappa, krippendorff_alpha, pair_figure, set_alpha
from triage.agreement.ratings import Annotator, LabelSet, Ratings, pairs_of
from triage.domain.taxonomy import Facet
from triage.insights.live_agreement.watch import kappa_with_model, model_labels
from triage.store import Judgement

MOST_PEOPLE = 8
"""The most active people who are compared; the number of pairs grows with the square."""
MODEL = "the model"
RESAMPLES = 1_000
"""Bootstrap resamples for the many secondary figures; half as many as for the main ones."""


class PairFigure(NamedTuple):
    """Two people on the incidents that both labelled: kappa, or alpha of label sets for a facet with many labels."""

    first: str
    second: str
    figure: Kappa | Alpha


class PersonFigure(NamedTuple):
    """One person with the model; `saw_model` counts labels given after seeing the model's."""

    name: str
    kappa: Kappa
    saw_model: int


def ratings_of(judged: Sequence[Judgement], person: str | None = None) -> Ratings:
    """The judgements of one facet, newest first, as ratings with the model in the last column.

    The annotators are the `MOST_PEOPLE` most active people, and always `person` if given. The model's label of an
    incident is that of the newest judgement; an abstention is a label that agrees with nothing.
    """
    given = Counter(judgement.annotator for judgement in judged)
    by_number = sorted(given, key=lambda name: (name != person, -given[name], name))
    names = sorted(by_number[:MOST_PEOPLE])
    by_people: dict[str, dict[str, LabelSet]] = {}
    by_model: dict[str, LabelSet] = {}
    for judgement in judged:
        if judgement.annotator in names:
            by_people.setdefault(judgement.incident_id, {})[judgement.annotator] = judgement.labels
        if judgement.triaged is not None:
            by_model.setdefault(judgement.incident_id, model_labels(judgement))
    incidents = tuple(sorted(by_people))
    return Ratings(
        annotators=(*(Annotator(name, "human") for name in names), Annotator(MODEL, "model")),
        incidents=incidents,
        rows=tuple((*(by_people[key].get(name) for name in names), by_model.get(key)) for key in incidents),
        gold={},
        derived_gold={},
    )


def alpha_of(facet: Facet, ratings: Ratings) -> Alpha | None:
    """Krippendorff's alpha of all people; None if fewer than two labelled the facet."""
    people = ratings.columns("human")
    if len(people) < 2:
        return None
    rows = ratings.of_columns(people)
    if facet.cardinality == "multi":
        return set_alpha(rows)
    return krippendorff_alpha([[labels[0] if labels else None for labels in row] for row in rows])


def pair_figures(facet: Facet, ratings: Ratings, person: str | None = None) -> tuple[PairFigure, ...]:
    """Every pair of people with shared incidents, most shared first; with `person`, only that person's pairs."""
    names = [annotator.name for annotator in ratings.annotators]
    found = [
        (len(both), PairFigure(names[a], names[b], pair_figure(facet, both, resamples=RESAMPLES)))
        for a, b in pairs_of(ratings.columns("human"))
        if person in (None, names[a], names[b]) and (both := ratings.both(a, b))
    ]
    return tuple(pair for _, pair in sorted(found, key=lambda item: -item[0]))


def person_figures(facet: Facet, judged: Sequence[Judgement]) -> tuple[PersonFigure, ...]:
    """The `MOST_PEOPLE` people with the most judgements, each with the model. All `judged` must have a triage."""
    by_name: dict[str, list[Judgement]] = {}
    for judgement in judged:
        by_name.setdefault(judgement.annotator, []).append(judgement)
    most = sorted(by_name, key=lambda name: (-len(by_name[name]), name))[:MOST_PEOPLE]
    return tuple(
        PersonFigure(
            name, kappa_with_model(facet, by_name[name]), sum(bool(judgement.saw_model) for judgement in by_name[name])
        )
        for name in most
    )
