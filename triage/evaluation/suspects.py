"""Gold labels that look wrong, ranked for a second look, and the kappa without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from triage.agreement.interval import Interval
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.confident_learning import (
    Codes,
    Matrix,
    confident_joint,
    noise_interval,
    noise_share,
    normalised_margin,
    self_confidence,
    share_without_errors,
)
from triage.evaluation.journal import CaseRecord, finished
from triage.evaluation.metrics import FacetCases, kappa
from triage.evaluation.runs import Run
from triage.pipeline.calibration import Observation, cross_fit
from triage.pipeline.decision import SEVERAL

Ranking = Literal["margin", "self_confidence"]
"""By the given label's probability less that of the likeliest other label, or by its probability alone."""

LEAST_CASES = 20
NOT = "not "
"""Precedes a label that does not apply, in a facet with several labels."""

_DROPS = 1_000
_APPLIES = 0.5


class Suspect(BaseModel, frozen=True):
    """A gold label that contradicts the probabilities.

    `given` is the label in question and `suggested` the confident one; in a facet with several labels of equal standing
    they are `x` and `not x`. Of the number of `sources`, those in `against` find another label likeliest, and those in
    `agreeing` the suggested one. Words, embedding and neighbours learn from the gold labels of other cases; the model
    and the definitions learn from none.
    """

    case_id: str
    facet: str
    gold: tuple[str, ...]
    given: str
    suggested: str
    p_given: float
    p_suggested: float
    margin: float
    against: tuple[str, ...]
    agreeing: tuple[str, ...]
    sources: int


class WhatIf(BaseModel, frozen=True):
    """Kappa of the run on all cases, without the suspects, and without as many random cases.

    Dropping cases that the model disagrees with raises kappa even if the model is wrong, so a gain proves nothing.
    `random` is the mean over random drops, and 95% of them lie between `random_low` and `random_high`.
    """

    kappa: float | None
    dropped: int
    without_suspects: float | None
    random: float | None
    random_low: float | None = None
    random_high: float | None = None


class FacetSuspects(BaseModel, frozen=True):
    """The suspects of one facet, most suspicious first, among `n` cases.

    `share` is the estimated share of wrong labels; `share_without_errors` is the same estimate for labels drawn from
    the probabilities themselves. With too few cases, `undefined` says so.
    """

    facet: str
    n: int = Field(ge=0)
    probabilities: Literal["cross-fitted", "as run"]
    share: float | None = None
    interval: Interval | None = None
    share_without_errors: float | None = None
    suspects: tuple[Suspect, ...] = ()
    what_if: WhatIf | None = None
    undefined: str | None = None


class _Held(NamedTuple):
    """A facet's labelled cases with out-of-sample probabilities, shape (cases, labels)."""

    records: list[CaseRecord]
    probabilities: Matrix
    how: Literal["cross-fitted", "as run"]


class _Question(NamedTuple):
    """One choice to check for every case: which of `names` is right."""

    names: tuple[str, ...]
    given: Codes
    probabilities: Matrix


def find_suspects(run: Run, taxonomy: Taxonomy, *, rank: Ranking = "margin") -> list[FacetSuspects]:
    """The suspects of each scored facet. A case's probabilities must not depend on its own gold label."""
    records = list(finished(run.records).values())
    return [
        _of_facet(taxonomy.facet(name), records, seed=run.suite.seed, rank=rank)
        for name in dict.fromkeys(run.suite.facets)
    ]


def _of_facet(facet: Facet, records: Sequence[CaseRecord], *, seed: int, rank: Ranking) -> FacetSuspects:
    held = _probabilities(facet, records, seed)
    n = len(held.records)
    if n < LEAST_CASES:
        return FacetSuspects(
            facet=facet.id,
            n=n,
            probabilities=held.how,
            undefined=f"{n} case(s) have a gold label and probabilities; the estimate needs {LEAST_CASES}",
        )
    questions = _questions(facet, held)
    ranked = sorted(
        (pair for question in questions for pair in _suspected(facet, question, held.records, rank)),
        key=lambda pair: (pair[0], pair[1].case_id),
    )
    suspects = tuple(suspect for _, suspect in ranked)
    choices = [(question.given, question.probabilities) for question in questions]
    return FacetSuspects(
        facet=facet.id,
        n=n,
        probabilities=held.how,
        share=float(np.mean([noise_share(*choice) for choice in choices])),
        interval=noise_interval(choices, seed=seed),
        share_without_errors=float(np.mean([share_without_errors(stated, seed=seed) for _, stated in choices])),
        suspects=suspects,
        what_if=_what_if(facet, held.records, {suspect.case_id for suspect in suspects}, seed),
    )


def _probabilities(facet: Facet, records: Sequence[CaseRecord], seed: int) -> _Held:
    """Calibrated, cross-fitted probabilities if there are enough cases; else those that the run recorded."""
    if facet.cardinality != "multi":
        observations = [Observation(record.sources, record.gold, record.fold) for record in records]
        cross = cross_fit(facet, observations, seed=seed)
        if cross is not None:
            return _Held([records[i] for i in cross.cases], cross.after, "cross-fitted")
    labelled = [r for r in records if r.gold.get(facet.id) and r.distributions.get(facet.id)]
    stated = np.array([[r.distributions[facet.id].get(label, 0.0) for label in facet.ids] for r in labelled])
    stated = stated.reshape(len(labelled), len(facet.ids))
    if facet.cardinality != "multi":
        stated = stated / np.maximum(stated.sum(axis=1, keepdims=True), 1e-12)
    return _Held(labelled, stated, "as run")


def _questions(facet: Facet, held: _Held) -> list[_Question]:
    if facet.cardinality != "multi":
        given = [facet.ids.index(record.gold[facet.id][0]) for record in held.records]
        return [_Question(tuple(facet.ids), np.array(given, dtype=np.int64), held.probabilities)]
    questions = []
    for k, label in enumerate(facet.ids):
        applies = np.array([label in record.gold[facet.id] for record in held.records], dtype=np.int64)
        chance = np.clip(held.probabilities[:, k], 0, 1)
        if applies.any():
            questions.append(_Question((f"{NOT}{label}", label), applies, np.stack([1 - chance, chance], axis=1)))
    return questions


def _suspected(
    facet: Facet, question: _Question, records: Sequence[CaseRecord], rank: Ranking
) -> list[tuple[float, Suspect]]:
    """The cases off the diagonal of the confident joint whose given label is not the likeliest, with ranks."""
    joint = confident_joint(question.given, question.probabilities)
    margins = normalised_margin(question.given, question.probabilities)
    likely = self_confidence(question.given, question.probabilities)
    order = margins if rank == "margin" else likely
    wrong = (joint.confident >= 0) & (joint.confident != question.given) & (margins < 0)
    found = []
    for i in np.flatnonzero(wrong).tolist():
        given, suggested = question.names[question.given[i]], question.names[joint.confident[i]]
        answers = _answers_of(facet, records[i].sources.get(facet.id, {}), question.names)
        suspect = Suspect(
            case_id=records[i].case_id,
            facet=facet.id,
            gold=records[i].gold[facet.id],
            given=given,
            suggested=suggested,
            p_given=round(float(likely[i]), 4),
            p_suggested=round(float(question.probabilities[i, joint.confident[i]]), 4),
            margin=round(float(margins[i]), 4),
            against=tuple(source for source, label in answers.items() if label != given),
            agreeing=tuple(source for source, label in answers.items() if label == suggested),
            sources=len(answers),
        )
        found.append((float(order[i]), suspect))
    return found


def _answers_of(facet: Facet, sources: Mapping[str, Mapping[str, float]], names: tuple[str, ...]) -> dict[str, str]:
    """The likeliest of `names` for each source."""
    answers = {}
    for source, shares in sources.items():
        if source in ("prior", "children") or not shares or (facet.cardinality == "multi" and source not in SEVERAL):
            continue
        if facet.cardinality == "multi":
            answers[source] = names[int(shares.get(names[1], 0.0) >= _APPLIES)]
        else:
            answers[source] = max(shares, key=lambda label: shares[label])
    return answers


def _what_if(facet: Facet, records: Sequence[CaseRecord], suspected: set[str], seed: int) -> WhatIf:
    columns = FacetCases.of(records, facet)
    n = len(records)
    remaining = np.array([[int(record.case_id not in suspected) for record in records]], dtype=np.int64)
    dropped = n - int(remaining.sum())
    rng = np.random.default_rng(seed)
    drops = np.ones((_DROPS, n), dtype=np.int64)
    for row in drops:
        row[rng.choice(n, size=dropped, replace=False)] = 0
    whole = kappa(columns, np.ones((1, n), dtype=np.int64))
    at_random = kappa(columns, drops)
    defined = at_random[~np.isnan(at_random)]
    low, high = np.quantile(defined, [0.025, 0.975]).tolist() if defined.size else (None, None)
    return WhatIf(
        kappa=_or_none(whole[0]),
        dropped=dropped,
        without_suspects=_or_none(kappa(columns, remaining)[0]),
        random=_or_none(defined.mean()) if defined.size else None,
        random_low=low,
        random_high=high,
    )


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
