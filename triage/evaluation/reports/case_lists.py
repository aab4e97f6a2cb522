"""The cases behind every count of a report: grouped by what was right and what was said, so that a count can link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from triage.domain.taxonomy import Facet
from triage.evaluation.journal import CaseRecord
from triage.evaluation.scoring import ABSTAINED

LISTED = 200
"""So many cases of one group are listed; a report of thousands must still open."""

Outcome = Literal["right", "wrong", "abstained", "missed", "wrongly given"]
OF_A_LABEL: tuple[Outcome, ...] = ("right", "missed", "wrongly given")


class ListedCase(NamedTuple):
    """One case in a list, with the probabilities stated of what was said and of the gold label."""

    case_id: str
    said: float | None
    gold: float | None


class CaseList(NamedTuple):
    """The cases of one count. `predicted` is None where a facet takes several labels: the count is then of `gold`."""

    anchor: str
    facet: str
    gold: str
    predicted: str | None
    outcome: Outcome
    cases: tuple[ListedCase, ...]
    n: int


def labelled(records: Iterable[CaseRecord], facet: Facet) -> list[CaseRecord]:
    """The finished cases that have a gold label of the facet."""
    return [record for record in records if record.status == "done" and record.gold.get(facet.id)]


def by_pair(records: Sequence[CaseRecord], facet: Facet, order: Sequence[str]) -> dict[tuple[str, str], CaseList]:
    """The cases of each cell of a confusion matrix, by gold and predicted label; both in the given order."""
    groups: dict[tuple[str, str], list[ListedCase]] = {}
    for record in records:
        gold = record.gold[facet.id][0]
        predicted = (record.predicted.get(facet.id) or (ABSTAINED,))[0]
        stated = record.distributions.get(facet.id, {})
        groups.setdefault((gold, predicted), []).append(
            ListedCase(record.case_id, stated.get(predicted), stated.get(gold))
        )
    place = {label: n for n, label in enumerate(order)}
    pairs = sorted(groups, key=lambda pair: (place[pair[0]], place[pair[1]]))
    return {pair: _listed(facet.id, n, *pair, groups[pair]) for n, pair in enumerate(pairs)}


def by_label(records: Sequence[CaseRecord], facet: Facet, order: Sequence[str]) -> dict[tuple[str, Outcome], CaseList]:
    """For a facet with several labels: the cases of each label and outcome (right, missed, wrongly given)."""
    groups: dict[tuple[str, Outcome], list[ListedCase]] = {}
    for record in records:
        gold, predicted = set(record.gold[facet.id]), set(record.predicted.get(facet.id, ()))
        stated: Mapping[str, float] = record.distributions.get(facet.id, {})
        for label in gold | predicted:
            outcome: Outcome = "wrongly given" if label not in gold else "right" if label in predicted else "missed"
            groups.setdefault((label, outcome), []).append(
                ListedCase(record.case_id, stated.get(label), stated.get(label))
            )
    wanted = [(label, outcome) for label in order for outcome in OF_A_LABEL if (label, outcome) in groups]
    return {
        (label, outcome): _list(facet.id, n, label, None, outcome, groups[label, outcome])
        for n, (label, outcome) in enumerate(wanted)
    }


def _listed(facet: str, place: int, gold: str, predicted: str, cases: list[ListedCase]) -> CaseList:
    outcome: Outcome = "abstained" if predicted == ABSTAINED else "right" if gold == predicted else "wrong"
    return _list(facet, place, gold, predicted, outcome, cases)


def _list(
    facet: str, place: int, gold: str, predicted: str | None, outcome: Outcome, cases: list[ListedCase]
) -> CaseList:
    surest = sorted(cases, key=lambda case: -(case.said or 0.0))
    return CaseList(f"cases-{facet}-{place}", facet, gold, predicted, outcome, tuple(surest[:LISTED]), len(cases))
