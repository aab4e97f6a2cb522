"""Agreement label by label, the confusion of people and model, and the judgements behind each count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from triage.agreement import Alpha, Confusion, Kappa, LabelAlpha, LabelScore, compare_sets, kappa_by_label
from triage.domain.taxonomy import Facet
from triage.insights.live_agreement.people import RESAMPLES
from triage.insights.live_agreement.report import ABSTAINED, said_by_model
from triage.store import Judgement

Outcome = Literal["both", "people", "model"]
"""Who gave a label: both sides, or one alone."""


class LabelFigures(NamedTuple):
    """One label: how often each side gave it, the scores of the model with people's labels as the truth, kappa against
    all other labels, and how far people agree on it among themselves.

    F1 is the positive agreement too, which does not change when the sides are exchanged.
    """

    label: str
    score: LabelScore
    kappa: Kappa
    both: int
    people: Alpha | None = None

    @property
    def people_alone(self) -> int:
        """How often people gave it and the model did not."""
        return self.score.support - self.both

    @property
    def model_alone(self) -> int:
        """How often the model gave it and people did not."""
        return self.score.predicted - self.both


def confusion_of(facet: Facet, judged: Sequence[Judgement]) -> Confusion | None:
    """People in rows, the model in columns, only labels in use; None where labels of a facet stand equal."""
    if facet.cardinality == "multi":
        return None
    return Confusion.of([one.labels[0] for one in judged], [said_by_model(one)[0] for one in judged], facet.ids).used()


def label_figures(
    facet: Facet, judged: Sequence[Judgement], among_people: Sequence[LabelAlpha]
) -> tuple[LabelFigures, ...]:
    """Every label that either side gave, in the taxonomy's order; all `judged` had a triage."""
    people = {one.label: one.alpha for one in among_people}
    if facet.cardinality == "multi":
        said, found = [one.labels for one in judged], [one.triaged or () for one in judged]
        return tuple(
            LabelFigures(one.label, one.score, one.kappa, _both(facet, judged, one.label), people.get(one.label))
            for one in compare_sets(said, found, facet.ids, resamples=RESAMPLES).labels
            if one.score.support or one.score.predicted
        )
    confusion = confusion_of(facet, judged)
    if confusion is None or not confusion.labels:
        return ()
    kappas = {one.label: one.kappa for one in kappa_by_label(confusion, resamples=RESAMPLES)}
    return tuple(
        LabelFigures(one.label, one, kappas[one.label], _both(facet, judged, one.label), people.get(one.label))
        for one in confusion.scores()
        if one.label != ABSTAINED
    )


def in_cell(judged: Sequence[Judgement], human: str, model: str) -> list[Judgement]:
    """The judgements of one cell of the confusion matrix, in their order."""
    return [one for one in judged if one.labels[0] == human and said_by_model(one)[0] == model]


def of_label(facet: Facet, judged: Sequence[Judgement], label: str, outcome: Outcome) -> list[Judgement]:
    """The judgements in which a label was given by both sides, or by one alone, in their order."""
    wanted = {"both": (True, True), "people": (True, False), "model": (False, True)}[outcome]
    return [one for one in judged if _gave(facet, one, label) == wanted]


def _both(facet: Facet, judged: Sequence[Judgement], label: str) -> int:
    return len(of_label(facet, judged, label, "both"))


def _gave(facet: Facet, one: Judgement, label: str) -> tuple[bool, bool]:
    """Whether people and model gave the label; only the primary one counts in a facet with a primary one."""
    said, found = one.labels, one.triaged or ()
    if facet.cardinality != "multi":
        said, found = said[:1], found[:1]
    return label in said, label in found
