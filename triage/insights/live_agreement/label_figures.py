"""Agreement by label, the confusion of people and model, and the judgements behind each count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from triage.agreement import Alpha, Confusion, Kappa, LabelAlpha, LabelScore, compare_sets, kappa_by_label
from triage.domain.taxonomy import Facet
from triage.insights.live_agreement.people import RESAMPLES
from triage.insights.live_agreement.watch import ABSTAINED, model_labels
from triage.store import Judgement

Outcome = Literal["both", "people", "model"]
"""Who gave a label: both sides, or one of them."""


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
