"""Calibrators: the weight of each source for each facet, and when to abstain, fitted on gold labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from triage.agreement import (
    Bin,
    Coverage,
    Kappa,
    calibration_error_by_chance,
    cohen_kappa,
    expected_calibration_error,
    reliability,
    risk_coverage,
)
from triage.domain.annotation import Labels
from triage.domain.errors import InvalidInput, MisconfiguredService, NotFound
from triage.domain.taxonomy import Facet, Taxonomy
from triage.pipeline.decision import RULE, SEVERAL, FacetRule, Sources, combine, default_rule, log_scores, share_out

LEAST_CASES = 30
"""The least number of cases to calibrate a facet on."""

_FOLDS = 5
_RIDGES = ((5.0, 10.0), (50.0, 100.0), (1_000.0, 1_000.0))
"""Ridges on the weights' proportions and on the biases, weakest first; the strongest fits little but a temperature."""
_TEMPERATURE_ONLY = ((1e6, 1e6),)
_LEAST_ANSWERED = 10
_CURVE_POINTS = 100

Matrix = NDArray[np.float64]
Ridges = Sequence[tuple[float, float]]


class Circumstances(BaseModel, frozen=True):
    """What the sources of a decision come from. A calibrator fits only the circumstances it was fitted in."""

    taxonomy: str
    prompts: tuple[str, ...]
    model: str
    embedder: str
    rule: str = RULE

    def differences(self, now: Circumstances) -> list[str]:
        """What is different now, one phrase each."""
        before, after = ({name: _listed(value) for name, value in each.model_dump().items()} for each in (self, now))
        return [f"{name} {before[name]} (now {after[name]})" for name in before if before[name] != after[name]]


class FacetCalibration(BaseModel, frozen=True):
    """The fitted rule of one facet, with its cross-fitted results.

    `before` is the uncalibrated rule on the same cases. `ece_by_chance` is the error that this many cases show even if
    every probability is true. `precision` and `coverage` are those above `abstain_below`. If no threshold reaches the
    target precision, `precision` is the best of those with at least ten answers.
    """

    n: int
    weights: dict[str, float]
    biases: dict[str, float]
    abstain_below: float = Field(ge=0, le=1)
    second_label: float = Field(ge=0, le=1)
    target_precision: float
    precision: float | None = None
    coverage: float | None = None
    kappa_before: Kappa | None = None
    kappa: Kappa | None = None
    ece_before: float | None = None
    ece: float | None = None
    ece_by_chance: float | None = None
    reliability_before: tuple[Bin, ...] = ()
    reliability: tuple[Bin, ...] = ()
    risk_coverage: tuple[Coverage, ...] = ()

    @property
    def rule(self) -> FacetRule:
        """The rule for decisions."""
        return FacetRule(self.weights, self.biases, self.abstain_below, self.second_label, is_calibrated=True)


class Calibration(NamedTuple):
    """The rules by facet that a calibrator brings to a pipeline, and the calibrator's name.

    Without a calibrator there are no rules. `warning` then says if one was fitted for this model but no longer fits.
    """

    calibrator: str | None = None
    rules: Mapping[str, FacetRule] = {}
    warning: str | None = None


UNCALIBRATED = Calibration()


class Calibrator(BaseModel, frozen=True):
    """Fitted rules for some facets, and what they were fitted on. Kept as a JSON file."""

    circumstances: Circumstances
    data: str
    data_sha256: str
    cases: int
    facets: dict[str, FacetCalibration]
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def name(self) -> str:
        """Its name in results: the data, the number of cases, and the date."""
        return f"{self.data} (n = {self.cases}, {self.data_sha256[:12]}), {self.created_at:%Y-%m-%d}"

    @classmethod
    def read(cls, path: Path) -> Calibrator:
        """The calibrator in a file. Raises `NotFound`, or `MisconfiguredService` for a damaged file."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise NotFound(f"There is no calibrator {path}: fit one with `triage calibrate`.") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise MisconfiguredService(
                f"{path} is not a calibrator ({place or 'JSON'}: {first['msg']}): fit one with `triage calibrate`."
            ) from error

    def write(self, path: Path) -> None:
        """Write it as a JSON file; creates the folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def misfit(self, now: Circumstances) -> str | None:
        """Why it does not fit these circumstances, and the next step; None if it fits."""
        differences = self.circumstances.differences(now)
        if not differences:
            return None
        return (
            f"The calibrator {self.name} does not fit. It was fitted for {'; '.join(differences)}. Fit a new one with "
            "`triage eval run SUITE` and `triage calibrate RUN`, or set TRIAGE_CALIBRATOR=none to use uncalibrated "
            "probabilities."
        )

    def is_meant_for(self, now: Circumstances) -> bool:
        """True if it was fitted for the same model and taxonomy, in whatever versions."""
        mine = self.circumstances
        return mine.model == now.model and mine.taxonomy.partition("@")[0] == now.taxonomy.partition("@")[0]

    def calibration(self, now: Circumstances) -> Calibration:
        """Its rules, for use in these circumstances. Raises `MisconfiguredService` if it does not fit them."""
        if misfit := self.misfit(now):
            raise MisconfiguredService(misfit, setting="TRIAGE_CALIBRATOR")
        return Calibration(self.name, {facet: fitted.rule for facet, fitted in self.facets.items()})


class Observation(NamedTuple):
    """One case to fit on: the sources of each facet, the gold labels, and the fold it was run in."""

    sources: Mapping[str, Sources]
    gold: Labels
    fold: int | None = None


class CrossFit(NamedTuple):
    """Probabilities of every case by rules that were fitted without it: shape (cases, labels).

    `ridges` are those that the rules were fitted with.
    """

    labels: tuple[str, ...]
    gold: NDArray[np.int64]
    before: Matrix
    after: Matrix
    cases: NDArray[np.int64]
    ridges: Ridges = _RIDGES


def fit(
    taxonomy: Taxonomy, observations: Sequence[Observation], precision: float, *, seed: int = 0
) -> dict[str, FacetCalibration]:
    """The calibration of each triaged facet that has at least 30 cases with gold labels.

    Weights and biases maximise the likelihood of the gold labels (a conditional logit: McFadden, 'Conditional logit
    analysis of qualitative choice behavior', 1974; stacking: Wolpert, 'Stacked generalization', 1992). A ridge, chosen
    by inner cross-validation, keeps the proportions of the weights near those of the uncalibrated rule. Where that
    lowers the cross-fitted kappa, only a temperature is fitted. Figures and threshold are cross-fitted: each fold is
    decided by a rule that was fitted on the others. Raises `InvalidInput` if no facet has enough cases.
    """
    found: dict[str, FacetCalibration] = {}
    crosses: dict[str, CrossFit] = {}
    for facet in taxonomy.triaged:
        if facet.cardinality == "multi":
            if (calibration := _fit_several(facet, observations, precision)) is not None:
                found[facet.id] = calibration
        elif (cross := _harmless(facet, observations, seed)) is not None:
            crosses[facet.id] = cross
    crosses = _shared_out(taxonomy, crosses)
    found |= {
        facet: _calibration(taxonomy.facet(facet), observations, cross, precision) for facet, cross in crosses.items()
    }
    if not found:
        raise InvalidInput(
            f"No facet has {LEAST_CASES} cases with a gold label, which a calibrator needs: run a larger suite.",
            field="run",
        )
    return found


def cross_fit(
    facet: Facet, observations: Sequence[Observation], *, seed: int = 0, ridges: Ridges = _RIDGES
) -> CrossFit | None:
    """The cross-fitted probabilities of one facet by itself; None with fewer than 30 cases or one label."""
    ids = np.array(
        [i for i, o in enumerate(observations) if o.gold.get(facet.id) and o.sources.get(facet.id)], dtype=np.int64
    )
    labels = tuple(facet.ids)
    gold = np.array([labels.index(observations[i].gold[facet.id][0]) for i in ids], dtype=np.int64)
    if len(ids) < LEAST_CASES or len(set(gold.tolist())) < 2:
        return None
    chosen = [observations[i] for i in ids]
    names, features = _features(facet, chosen)
    folds = _folds(chosen, seed)
    after = np.zeros(features.shape[:2])
    for fold in np.unique(folds):
        rest = folds != fold
        weights, biases = _fit(features[rest], gold[rest], names, ridges)
        after[~rest] = _probabilities(features[~rest], weights, biases)
    before = np.array([[p.get(label, 0.0) for label in labels] for p in _uncalibrated(facet, chosen)])
    return CrossFit(labels, gold, before, after, ids, ridges)


def _harmless(facet: Facet, observations: Sequence[Observation], seed: int) -> CrossFit | None:
    """The cross-fitted probabilities by fitted weights, or by a fitted temperature where those lower kappa."""
    cross = cross_fit(facet, observations, seed=seed)
    if cross is None:
        return None
    before, after = (_outcome(cross, p)[2].value or 0.0 for p in (cross.before, cross.after))
    return cross if after >= before else cross_fit(facet, observations, seed=seed, ridges=_TEMPERATURE_ONLY)


def _shared_out(taxonomy: Taxonomy, crosses: Mapping[str, CrossFit]) -> dict[str, CrossFit]:
    """The same with the probability of each label shared among its child labels, as `decide` does."""
    places = {name: {case: row for row, case in enumerate(cross.cases.tolist())} for name, cross in crosses.items()}
    shared = {
        name: cross._replace(before=cross.before.copy(), after=cross.after.copy()) for name, cross in crosses.items()
    }
    for case in sorted({case for rows in places.values() for case in rows}):
        known = [facet for facet in taxonomy.triaged if case in places.get(facet.id, {})]
        for when in ("before", "after"):
            rows = {facet.id: getattr(shared[facet.id], when)[places[facet.id][case]] for facet in known}
            pools = {facet.id: dict(zip(facet.ids, map(float, rows[facet.id]), strict=True)) for facet in known}
            for name, pool in share_out(known, pools).items():
                rows[name][:] = [pool[label] for label in shared[name].labels]
    return shared


def _calibration(
    facet: Facet, observations: Sequence[Observation], cross: CrossFit, precision: float
) -> FacetCalibration:
    chosen = [observations[i] for i in cross.cases]
    names, features = _features(facet, chosen)
    weights, biases = _fit(features, cross.gold, names, cross.ridges)
    (stated_before, right_before, kappa_before), (stated, right, kappa) = (
        _outcome(cross, p) for p in (cross.before, cross.after)
    )
    curve = risk_coverage(stated, right)
    point = _threshold(curve, precision, len(right))
    return FacetCalibration(
        n=len(right),
        weights=dict(zip(names, (round(float(w), 4) for w in weights), strict=True)),
        biases=dict(zip(cross.labels, (round(float(b), 4) for b in biases), strict=True)),
        abstain_below=round(point.threshold, 4) if point.coverage < 1 else 0.0,
        second_label=_second_label(facet, chosen, cross),
        target_precision=precision,
        precision=point.accuracy,
        coverage=point.coverage,
        kappa_before=kappa_before,
        kappa=kappa,
        ece_before=expected_calibration_error(stated_before, right_before),
        ece=expected_calibration_error(stated, right),
        ece_by_chance=calibration_error_by_chance(stated),
        reliability_before=tuple(reliability(stated_before, right_before)),
        reliability=tuple(reliability(stated, right)),
        risk_coverage=_thinned(curve),
    )


def _features(facet: Facet, observations: Iterable[Observation]) -> tuple[list[str], Matrix]:
    """The centred log-probabilities of every source, shape (cases, labels, sources); 0 for a missing source."""
    scored = [log_scores(facet.ids, o.sources[facet.id]) for o in observations]
    names = [source for source in default_rule(()).weights if any(source in scores for scores in scored)]
    missing = [0.0] * len(facet.ids)
    return names, np.array([[scores.get(name, missing) for name in names] for scores in scored]).transpose(0, 2, 1)


def _fit(
    features: Matrix, gold: NDArray[np.int64], names: Sequence[str], ridges: Ridges = _RIDGES
) -> tuple[Matrix, Matrix]:
    """Non-negative weights of the sources and biases of the labels, with the ridge chosen on inner folds."""
    inner = np.random.default_rng(0).permutation(len(gold)) % _FOLDS

    def log_loss(ridge: tuple[float, float]) -> float:
        total = 0.0
        for fold in range(_FOLDS):
            rest = inner != fold
            weights, biases = _fit_with(features[rest], gold[rest], names, ridge)
            chances = _probabilities(features[~rest], weights, biases)[np.arange(int((~rest).sum())), gold[~rest]]
            total -= float(np.log(np.maximum(chances, 1e-12)).sum())
        return total

    return _fit_with(features, gold, names, min(ridges, key=log_loss) if len(ridges) > 1 else ridges[0])


def _fit_with(
    features: Matrix, gold: NDArray[np.int64], names: Sequence[str], ridge: tuple[float, float]
) -> tuple[Matrix, Matrix]:
    from scipy.optimize import minimize

    ridge_weights, ridge_biases = ridge
    cases, labels, sources = features.shape
    start = np.array([default_rule(names).weights[name] for name in names])
    truth = np.zeros((cases, labels))
    truth[np.arange(cases), gold] = 1

    def loss(values: Matrix) -> tuple[float, Matrix]:
        weights, biases = values[:sources], values[sources:]
        probabilities = _probabilities(features, weights, biases)
        total = -np.log(np.maximum(probabilities[np.arange(cases), gold], 1e-300)).sum()
        # The ridge is on the proportions only: the data alone determines the overall scale.
        turned = weights - start * (weights @ start) / (start @ start)
        total += (ridge_weights * (turned**2).sum() + ridge_biases * (biases**2).sum()) / 2
        gap = probabilities - truth
        gradient = [
            np.einsum("nl,nls->s", gap, features) + ridge_weights * turned,
            gap.sum(axis=0) + ridge_biases * biases,
        ]
        return float(total), np.concatenate(gradient)

    bounds = [(0.0, None)] * sources + [(None, None)] * labels
    found = minimize(loss, np.concatenate([start, np.zeros(labels)]), jac=True, method="L-BFGS-B", bounds=bounds).x
    return found[:sources], found[sources:]


def _probabilities(features: Matrix, weights: Matrix, biases: Matrix) -> Matrix:
    scores = features @ weights + biases
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Matrix = shares / shares.sum(axis=1, keepdims=True)
    return result


def _uncalibrated(facet: Facet, observations: Iterable[Observation]) -> list[dict[str, float]]:
    return [combine(facet, o.sources[facet.id]) for o in observations]


def _folds(observations: Sequence[Observation], seed: int) -> NDArray[np.int64]:
    """The folds that the cases were run in, or random ones if they were run without."""
    if all(o.fold is not None for o in observations):
        return np.array([o.fold for o in observations], dtype=np.int64)
    return np.random.default_rng(seed).permutation(len(observations)).astype(np.int64) % _FOLDS


def _outcome(cross: CrossFit, probabilities: Matrix) -> tuple[list[float], list[bool], Kappa]:
    best = probabilities.argmax(axis=1)
    kappa = cohen_kappa([cross.labels[g] for g in cross.gold], [cross.labels[b] for b in best])
    return probabilities.max(axis=1).tolist(), (best == cross.gold).tolist(), kappa


def _threshold(curve: Sequence[Coverage], precision: float, n: int) -> Coverage:
    """The point of highest coverage at the target precision, else the most precise with at least ten answers."""
    usable = [point for point in curve if point.coverage * n >= min(_LEAST_ANSWERED, n) - 1e-9]
    good = [point for point in usable if point.accuracy >= precision]
    return max(good, key=lambda p: p.coverage) if good else max(usable, key=lambda p: (p.accuracy, p.coverage))


def _thinned(curve: Sequence[Coverage]) -> tuple[Coverage, ...]:
    """At most about 100 points of the curve, with both ends."""
    step = max(1, len(curve) // _CURVE_POINTS)
    return (*curve[:-1:step], *curve[-1:])


def _second_label(facet: Facet, observations: Sequence[Observation], cross: CrossFit) -> float:
    """The probability from which on a further label is given: that with the highest mean Jaccard index."""
    if facet.cardinality == "single":
        return 1.0
    golds = [set(o.gold[facet.id]) for o in observations]

    def mean_jaccard(threshold: float) -> float:
        total = 0.0
        for gold, row in zip(golds, cross.after, strict=True):
            given = {label for label, p in zip(cross.labels, row, strict=True) if p >= threshold}
            given.add(cross.labels[int(row.argmax())])
            total += len(gold & given) / len(gold | given)
        return total / len(golds)

    return max((round(float(t), 2) for t in np.arange(0.5, 0.04, -0.02)), key=mean_jaccard)


def _fit_several(facet: Facet, observations: Sequence[Observation], precision: float) -> FacetCalibration | None:
    """Fit a multi-label facet: a shift of each label's log-odds to its frequency, and two thresholds.

    The facet abstains below the one at which the likeliest label has the target precision. That of further labels has
    the highest F1 score over all labels of all cases.
    """
    chosen = [o for o in observations if o.gold.get(facet.id) and o.sources.get(facet.id)]
    if len(chosen) < LEAST_CASES:
        return None
    used = {source for o in chosen for source in SEVERAL if source in o.sources[facet.id]}
    pooled = np.array([[row.get(label, 0.0) for label in facet.ids] for row in _uncalibrated(facet, chosen)])
    gold = np.array([[label in o.gold[facet.id] for label in facet.ids] for o in chosen])
    folds = _folds(chosen, 0)
    moved = np.zeros_like(pooled)
    for fold in np.unique(folds):
        rest = folds != fold
        moved[~rest] = _move(pooled[~rest], _biases(pooled[rest], gold[rest]))
    stated, right = moved.ravel().tolist(), gold.ravel().tolist()
    threshold = max((round(float(t), 2) for t in np.arange(0.6, 0.04, -0.02)), key=lambda t: _f1(moved >= t, gold))
    first = moved.argmax(axis=1)
    curve = risk_coverage(moved.max(axis=1).tolist(), gold[np.arange(len(gold)), first].tolist())
    point = _threshold(curve, precision, len(gold))
    return FacetCalibration(
        n=len(chosen),
        weights={source: weight for source, weight in default_rule(used).weights.items() if source in used},
        biases=dict(zip(facet.ids, (round(float(b), 4) for b in _biases(pooled, gold)), strict=True)),
        abstain_below=round(point.threshold, 4) if point.coverage < 1 else 0.0,
        second_label=threshold,
        target_precision=precision,
        precision=point.accuracy,
        coverage=point.coverage,
        risk_coverage=_thinned(curve),
        ece_before=expected_calibration_error(pooled.ravel().tolist(), right),
        ece=expected_calibration_error(stated, right),
        reliability_before=tuple(reliability(pooled.ravel().tolist(), right)),
        reliability=tuple(reliability(stated, right)),
    )


def _listed(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value) or "none"


def _log_odds(p: Matrix) -> Matrix:
    bounded = np.clip(p, 1e-3, 1 - 1e-3)
    result: Matrix = np.log(bounded / (1 - bounded))
    return result


def _move(p: Matrix, biases: Matrix) -> Matrix:
    result: Matrix = 1 / (1 + np.exp(-(_log_odds(p) + biases)))
    return result


def _biases(p: Matrix, gold: NDArray[np.bool_]) -> Matrix:
    """For each label, the shift of log-odds that makes its mean probability its frequency, by bisection."""
    target = (gold.sum(axis=0) + 0.5) / (len(gold) + 1)
    low, high = np.full(p.shape[1], -12.0), np.full(p.shape[1], 12.0)
    for _ in range(40):
        middle = (low + high) / 2
        too_much = _move(p, middle).mean(axis=0) > target
        high, low = np.where(too_much, middle, high), np.where(too_much, low, middle)
    result: Matrix = (low + high) / 2
    return result


def _f1(given: NDArray[np.bool_], gold: NDArray[np.bool_]) -> float:
    return float(2 * (given & gold).sum() / max((given.sum() + gold.sum()), 1))
