"""The results of a blind second look: how often it contradicts gold, and the run's kappa after corrections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from pydantic import BaseModel

from triage.agreement import Kappa, cohen_kappa
from triage.agreement.interval import RESAMPLES, Interval
from triage.agreement.proportion import Proportion
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.journal import CaseRecord, finished
from triage.evaluation.metrics import Draws, FacetCases, kappa
from triage.evaluation.runs import Run
from triage.evaluation.scores import Measured
from triage.evaluation.second_look import Answer, Answers, KeyItem, corrected
from triage.evaluation.suspects import NOT

_SCALE = 1_000
_DRAWS = 10_000


class PairAgreement(BaseModel, frozen=True):
    """Agreement of two annotators, or of one with themselves on repeated items (`a` is `b`)."""

    a: str
    b: str
    n: int
    kappa: Kappa


class FacetSecondLook(BaseModel, frozen=True):
    """The second look at one facet.

    `suspects` and `controls` count the answered cases whose second label contradicts gold; `as_suggested` the
    contradicted suspects whose second label is the suggested one. `undecided` cases have a tied vote. `wrong` estimates
    the share of the run's cases that the second look would contradict, with a 95% interval, weighting both groups by
    their size in the run.

    On all cases of the run, `kappa_gold` is its kappa against gold, `kappa_replaced` with contradicted labels replaced,
    and `kappa_without` without those cases. On the answered cases, weighted by group, `kappa_second_look` is the run's
    kappa against the second labels and `human` that of the second labels against gold. `kappa_replaced` flatters the
    run if more suspects than controls were labelled; `kappa_second_look` does not.
    """

    facet: str
    answered: int
    unanswered: int
    undecided: int
    suspects: Proportion
    controls: Proportion
    as_suggested: Proportion
    wrong: float | None
    wrong_interval: tuple[float, float] | None
    kappa_gold: Measured
    kappa_replaced: Measured
    kappa_without: Measured
    kappa_second_look: Measured
    human: Measured
    between: tuple[PairAgreement, ...] = ()
    within: tuple[PairAgreement, ...] = ()


def evaluate(run: Run, taxonomy: Taxonomy, given: Answers) -> list[FacetSecondLook]:
    """The results for each facet in the answers."""
    records = list(finished(run.records).values())
    return [
        _of_facet(taxonomy.facet(name), records, given, run.suite.seed)
        for name in dict.fromkeys(item.facet for item in given.key.items)
    ]


def _of_facet(facet: Facet, records: Sequence[CaseRecord], given: Answers, seed: int) -> FacetSecondLook:
    items = {item.case_id: item for item in given.key.items if item.facet == facet.id}
    answers = [answer for answer in given.answers if answer.item.facet == facet.id]
    by_case: dict[str, dict[str, tuple[str, ...]]] = {}
    for answer in answers:
        # The first answer of a person counts; a repeat measures self-agreement only.
        by_case.setdefault(answer.item.case_id, {}).setdefault(answer.annotator, answer.labels)
    settled = {key: labels for key, votes in by_case.items() if (labels := _settled(list(votes.values()), facet))}
    contradicted = {key: labels for key, labels in settled.items() if _differ(items[key].gold, labels, facet)}
    suspects, controls = (
        Proportion(
            hits=sum(items[key].role == role for key in contradicted),
            n=sum(items[key].role == role for key in settled),
        )
        for role in ("suspect", "control")
    )
    doubted = [key for key in contradicted if items[key].role == "suspect"]
    labelled = [record for record in records if record.gold.get(facet.id)]
    looked = [record for record in labelled if record.case_id in settled]
    population = given.key.population[facet.id]
    factors = _factors(looked, items, population)
    anew = corrected(looked, facet.id, settled)
    as_people = [record.model_copy(update={"predicted": {facet.id: settled[record.case_id]}}) for record in looked]
    return FacetSecondLook(
        facet=facet.id,
        answered=len(by_case),
        unanswered=len(items) - len(by_case),
        undecided=len(by_case) - len(settled),
        suspects=suspects,
        controls=controls,
        as_suggested=Proportion(
            hits=sum(_sides_with(items[key].suggested, settled[key], facet) for key in doubted), n=len(doubted)
        ),
        wrong=_wrong(suspects, controls, population),
        wrong_interval=_wrong_interval(suspects, controls, population, seed),
        kappa_gold=_kappa(labelled, facet, seed),
        kappa_replaced=_kappa(corrected(labelled, facet.id, contradicted), facet, seed),
        kappa_without=_kappa([record for record in labelled if record.case_id not in contradicted], facet, seed),
        kappa_second_look=_kappa(anew, facet, seed, factors),
        human=_kappa(as_people, facet, seed, factors),
        between=_between(by_case),
        within=_within(answers),
    )


def _settled(votes: Sequence[tuple[str, ...]], facet: Facet) -> tuple[str, ...] | None:
    """The labels with most votes, compared by the primary label if there is one; None for a tie."""
    keyed = [tuple(sorted(vote)) if facet.cardinality == "multi" else vote[:1] for vote in votes]
    ranked = Counter(keyed).most_common(2)
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return None
    return next(vote for vote, key in zip(votes, keyed, strict=True) if key == ranked[0][0])


def _differ(gold: tuple[str, ...], labels: tuple[str, ...], facet: Facet) -> bool:
    return set(gold) != set(labels) if facet.cardinality == "multi" else gold[:1] != labels[:1]


def _sides_with(suggested: str, labels: tuple[str, ...], facet: Facet) -> bool:
    if facet.cardinality != "multi":
        return labels[:1] == (suggested,)
    return suggested in labels or (suggested.startswith(NOT) and suggested.removeprefix(NOT) not in labels)


def _wrong(suspects: Proportion, controls: Proportion, population: tuple[int, int]) -> float | None:
    if suspects.share is None or controls.share is None:
        return None
    return (suspects.share * population[0] + controls.share * population[1]) / sum(population)


def _wrong_interval(
    suspects: Proportion, controls: Proportion, population: tuple[int, int], seed: int
) -> tuple[float, float] | None:
    """The central 95% of the posterior of both shares with Jeffreys' prior, weighted by group size in the run."""
    if not suspects.n or not controls.n:
        return None
    rng = np.random.default_rng(seed)
    first, second = (rng.beta(p.hits + 0.5, p.n - p.hits + 0.5, size=_DRAWS) for p in (suspects, controls))
    drawn = (first * population[0] + second * population[1]) / sum(population)
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return low, high


def _factors(
    looked: Sequence[CaseRecord], items: Mapping[str, KeyItem], population: tuple[int, int]
) -> list[tuple[list[int], int]]:
    """For each group the positions in `looked`, and each one's weight in thousandths of a case of the run."""
    found = []
    for role, size in zip(("suspect", "control"), population, strict=True):
        at = [i for i, record in enumerate(looked) if items[record.case_id].role == role]
        if at:
            found.append((at, round(_SCALE * size / len(at))))
    return found


def _kappa(
    records: Sequence[CaseRecord], facet: Facet, seed: int, groups: Sequence[tuple[list[int], int]] | None = None
) -> Measured:
    """Kappa with its bootstrap interval. Cases are drawn within each of `groups` and have its weight."""
    n = len(records)
    metric = f"kappa.{facet.id}"
    if not n:
        return Measured(metric=metric, value=None, n=0, undefined="there is nothing to compare")
    groups = groups if groups is not None else [(list(range(n)), 1)]
    cases = FacetCases.of(records, facet)
    once: Draws = np.zeros((1, n), dtype=np.int64)
    drawn: Draws = np.zeros((RESAMPLES, n), dtype=np.int64)
    rng = np.random.default_rng(seed)
    for at, factor in groups:
        once[:, at] = factor
        drawn[:, at] = factor * rng.multinomial(len(at), np.full(len(at), 1 / len(at)), size=RESAMPLES)
    value = float(kappa(cases, once)[0])
    if np.isnan(value):
        return Measured(metric=metric, value=None, n=n, undefined="both sides use one label only")
    return Measured(metric=metric, value=value, n=n, interval=Interval.of(kappa(cases, drawn)) if n > 1 else None)


def _between(by_case: Mapping[str, Mapping[str, tuple[str, ...]]]) -> tuple[PairAgreement, ...]:
    names = sorted({name for votes in by_case.values() for name in votes})
    found = []
    for a, b in combinations(names, 2):
        both = [(votes[a][0], votes[b][0]) for votes in by_case.values() if a in votes and b in votes]
        if both:
            found.append(_pair(a, b, both))
    return tuple(found)


def _within(answers: Sequence[Answer]) -> tuple[PairAgreement, ...]:
    answers_by_item: dict[tuple[str, str], list[str]] = {}
    for answer in answers:
        answers_by_item.setdefault((answer.annotator, answer.item.case_id), []).append(answer.labels[0])
    found = []
    for name in sorted({annotator for annotator, _ in answers_by_item}):
        twice = [
            (each[0], each[1])
            for (annotator, _), each in answers_by_item.items()
            if annotator == name and len(each) > 1
        ]
        if twice:
            found.append(_pair(name, name, twice))
    return tuple(found)


def _pair(a: str, b: str, both: Sequence[tuple[str, str]]) -> PairAgreement:
    return PairAgreement(
        a=a, b=b, n=len(both), kappa=cohen_kappa([one for one, _ in both], [other for _, other in both])
    )
