"""Judgements of people and the model: which of them count, and agreement by person and by label."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Unpack

from triage.agreement import (
    Alpha,
    Confusion,
    Kappa,
    LabelAlpha,
    LabelScore,
    MeanAgreement,
    compare_sets,
    human_ceiling,
    kappa_by_label,
    krippendorff_alpha,
    pair_figure,
    set_alpha,
)
from triage.agreement.interval import Resampling
from triage.agreement.ratings import Annotator, LabelSet, Ratings, pairs_of
from triage.domain.taxonomy import Facet
from triage.insights.live_agreement.watch import ABSTAINED, kappa_with_model, model_labels
from triage.store import Judgement

MOST_PEOPLE = 8
"""The most active people who are compared; the number of pairs grows with the square."""
MODEL = "the model"
RESAMPLES = 1_000
"""Bootstrap resamples for the many secondary figures; half as many as for the main ones."""

Outcome = Literal["both", "people", "model"]
"""Who gave a label: both sides, or one of them."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Selection(NamedTuple):
    """The judgements of the last `days` (None: all) on incidents of these `teams` (None: all).

    With `annotator`, only this person's; with `unseen`, only those of people known not to have seen the model's labels.
    """

    days: int | None = 90
    annotator: str | None = None
    unseen: bool = False
    teams: frozenset[str] | None = None

    def since(self, now: datetime) -> datetime:
        """The start of the window."""
        return _BEGINNING if self.days is None else now - timedelta(days=self.days)

    def of(self, judged: Sequence[Judgement]) -> list[Judgement]:
        """The judgements that count, from everyone: people can only be compared with others."""
        return [judgement for judgement in judged if not self.unseen or judgement.saw_model is False]

    def with_model(self, judged: Sequence[Judgement]) -> list[Judgement]:
        """The judgements that count and that the model can be compared with."""
        return [
            judgement
            for judgement in self.of(judged)
            if judgement.triaged is not None and (self.annotator is None or judgement.annotator == self.annotator)
        ]


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


def ceiling(
    facet: Facet, ratings: Ratings, person: str | None, undefined: str, **options: Unpack[Resampling]
) -> MeanAgreement:
    """The agreement among people, or of `person` with the others; `undefined` is the reason if nothing is theirs."""
    names = [annotator.name for annotator in ratings.annotators]
    if person is not None and person not in names:
        return MeanAgreement(value=None, pairs=0, undefined=f"{person} {undefined}")
    return human_ceiling(facet, ratings, None if person is None else names.index(person), **options)


def pair_figures(facet: Facet, ratings: Ratings, person: str | None = None) -> tuple[PairFigure, ...]:
    """Every pair of people with shared incidents, most shared first; with `person`, only that person's pairs."""
    names = [annotator.name for annotator in ratings.annotators]
    pairs = [
        (len(both), PairFigure(names[a], names[b], pair_figure(facet, both, resamples=RESAMPLES)))
        for a, b in pairs_of(ratings.columns("human"))
        if person in (None, names[a], names[b]) and (both := ratings.both(a, b))
    ]
    return tuple(pair for _, pair in sorted(pairs, key=lambda item: -item[0]))


def person_figures(facet: Facet, judged: Sequence[Judgement]) -> tuple[PersonFigure, ...]:
    """The `MOST_PEOPLE` people with the most judgements, each with the model. All `judged` must have a triage."""
    by_name: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judged:
        by_name[judgement.annotator].append(judgement)
    most = sorted(by_name.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_PEOPLE]
    return tuple(
        PersonFigure(name, kappa_with_model(facet, mine), sum(bool(judgement.saw_model) for judgement in mine))
        for name, mine in most
    )


class LabelFigures(NamedTuple):
    """One label: how often each side gave it, the model's scores against people's labels, kappa against all other
    labels, and the agreement among people.

    F1 is also the positive agreement, which is symmetric.
    """

    label: str
    score: LabelScore
    kappa: Kappa
    both: int
    people: Alpha | None = None

    @property
    def people_alone(self) -> int:
        """How often only people gave it."""
        return self.score.support - self.both

    @property
    def model_alone(self) -> int:
        """How often only the model gave it."""
        return self.score.predicted - self.both


def confusion_of(facet: Facet, judged: Sequence[Judgement]) -> Confusion | None:
    """Counts with people in rows and the model in columns, for labels in use; None for a facet with many labels."""
    if facet.cardinality == "multi":
        return None
    return Confusion.of(
        [judgement.labels[0] for judgement in judged], [model_labels(judgement)[0] for judgement in judged], facet.ids
    ).used()


def label_figures(
    facet: Facet, judged: Sequence[Judgement], among_people: Sequence[LabelAlpha]
) -> tuple[LabelFigures, ...]:
    """Every label that either side gave, in the taxonomy's order. All `judged` must have a triage."""
    people = {entry.label: entry.alpha for entry in among_people}
    if facet.cardinality == "multi":
        people_labels, model_labels = [entry.labels for entry in judged], [entry.triaged or () for entry in judged]
        compared = compare_sets(people_labels, model_labels, facet.ids, resamples=RESAMPLES).labels
        scored = [(entry.score, entry.kappa) for entry in compared if entry.score.support or entry.score.predicted]
    elif (confusion := confusion_of(facet, judged)) is not None and confusion.labels:
        kappas = {entry.label: entry.kappa for entry in kappa_by_label(confusion, resamples=RESAMPLES)}
        scored = [(score, kappas[score.label]) for score in confusion.scores() if score.label != ABSTAINED]
    else:
        return ()
    return tuple(
        LabelFigures(
            score.label, score, kappa, len(of_label(facet, judged, score.label, "both")), people.get(score.label)
        )
        for score, kappa in scored
    )


def in_cell(judged: Sequence[Judgement], human: str, model: str) -> list[Judgement]:
    """The judgements of one cell of the confusion matrix."""
    return [judgement for judgement in judged if judgement.labels[0] == human and model_labels(judgement)[0] == model]


def of_label(facet: Facet, judged: Sequence[Judgement], label: str, outcome: Outcome) -> list[Judgement]:
    """The judgements in which both sides, or only one, gave a label."""
    expected = {"both": (True, True), "people": (True, False), "model": (False, True)}[outcome]
    return [judgement for judgement in judged if _gave(facet, judgement, label) == expected]


def _gave(facet: Facet, judgement: Judgement, label: str) -> tuple[bool, bool]:
    """Whether people and the model gave the label; without many labels only the primary one counts."""
    people_labels, model_labels = judgement.labels, judgement.triaged or ()
    if facet.cardinality != "multi":
        people_labels, model_labels = people_labels[:1], model_labels[:1]
    return label in people_labels, label in model_labels
