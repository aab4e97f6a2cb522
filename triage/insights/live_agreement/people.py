"""People beside people, and the model as one more annotator among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from triage.agreement import Alpha, Kappa, krippendorff_alpha, pair_figure, set_alpha
from triage.agreement.ratings import Annotator, LabelSet, Ratings, pairs_of
from triage.domain.taxonomy import Facet
from triage.insights.live_agreement.report import kappa_with_model, said_by_model
from triage.store import Judgement

MOST_PEOPLE = 8
"""People who are held against each other, those who labelled most; the number of pairs grows with its square."""
MODEL = "the model"
RESAMPLES = 1_000
"""For figures of which there are many; half of what the figures to look at first have."""


class PairFigure(NamedTuple):
    """Two people on the incidents that both labelled: kappa, or alpha of the sets where labels stand equal."""

    first: str
    second: str
    figure: Kappa | Alpha


class PersonFigure(NamedTuple):
    """One person with the model; `saw_model` counts the labels that they gave after they had seen the model's."""

    name: str
    kappa: Kappa
    saw_model: int


def ratings_of(judged: Sequence[Judgement], person: str | None = None) -> Ratings:
    """The judgements of one facet, newest first, as a table with the model in the last column.

    It holds the `MOST_PEOPLE` people who labelled most, and always the `person` if one is asked for. The model's label
    of an incident is the one that stood beside the newest judgement; an abstention is a label that agrees with nothing.
    """
    given = Counter(one.annotator for one in judged)
    by_number = sorted(given, key=lambda name: (name != person, -given[name], name))
    names = sorted(by_number[:MOST_PEOPLE])
    said: dict[str, dict[str, LabelSet]] = {}
    by_model: dict[str, LabelSet] = {}
    for one in judged:
        if one.annotator in names:
            said.setdefault(one.incident_id, {})[one.annotator] = one.labels
        if one.triaged is not None:
            by_model.setdefault(one.incident_id, said_by_model(one))
    incidents = tuple(sorted(said))
    return Ratings(
        annotators=(*(Annotator(name, "human") for name in names), Annotator(MODEL, "model")),
        incidents=incidents,
        rows=tuple((*(said[key].get(name) for name in names), by_model.get(key)) for key in incidents),
        gold={},
        derived_gold={},
    )


def alpha_of(facet: Facet, ratings: Ratings) -> Alpha | None:
    """Krippendorff's alpha of all people; None where fewer than two labelled the facet."""
    people = ratings.columns("human")
    if len(people) < 2:
        return None
    rows = ratings.of_columns(people)
    if facet.cardinality == "multi":
        return set_alpha(rows)
    return krippendorff_alpha([[labels[0] if labels else None for labels in row] for row in rows])


def pair_figures(facet: Facet, ratings: Ratings, person: str | None = None) -> tuple[PairFigure, ...]:
    """Every pair of people who labelled an incident both, those with most of them first; or those of one person."""
    names = [annotator.name for annotator in ratings.annotators]
    found = [
        (len(both), PairFigure(names[a], names[b], pair_figure(facet, both, resamples=RESAMPLES)))
        for a, b in pairs_of(ratings.columns("human"))
        if person in (None, names[a], names[b]) and (both := ratings.both(a, b))
    ]
    return tuple(pair for _, pair in sorted(found, key=lambda item: -item[0]))


def person_figures(facet: Facet, judged: Sequence[Judgement]) -> tuple[PersonFigure, ...]:
    """The `MOST_PEOPLE` people who judged most labels of the model, each with it; all `judged` had a triage."""
    by_name: dict[str, list[Judgement]] = {}
    for one in judged:
        by_name.setdefault(one.annotator, []).append(one)
    most = sorted(by_name, key=lambda name: (-len(by_name[name]), name))[:MOST_PEOPLE]
    return tuple(
        PersonFigure(name, kappa_with_model(facet, by_name[name]), sum(bool(one.saw_model) for one in by_name[name]))
        for name in most
    )
