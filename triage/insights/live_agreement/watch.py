"""The watch: agreement of the deployed model with the people who label its incidents, in a sliding window, with
alerts."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import numpy as np
from pydantic import AwareDatetime, BaseModel, Field

from triage.agreement import Interval, Kappa, cohen_kappa, compare_sets
from triage.agreement.drift import Drift, label_drift
from triage.agreement.proportion import Proportion
from triage.domain.taxonomy import Facet, Taxonomy
from triage.render.quantities import percent
from triage.store import Judgement, Store, TriagedIncident

ABSTAINED = "(abstained)"
NOTE = (
    "People choose which incidents they label, and those who saw the model's label before giving theirs agree with it "
    "more often than they would by themselves: read kappa beside the coverage, and `unseen` for what people say who "
    "had not seen it."
)

_RESAMPLES = 2_000
_MOST_CACHED = 16
"""Cached reports, one for each requested group of teams."""

State = Literal["no gate", "too few", "above", "unsure", "below"]
"""Where kappa's interval lies: entirely above the gate, on both sides of it, or entirely below."""


class LiveOptions(NamedTuple):
    """The window covers the last `days` and at most the `cases` newest incidents; the reference is the window before
    it, of the same length. Alerts need at least `least` cases, and a shift of the labels of at least `least_psi`."""

    days: float = 30.0
    cases: int = 500
    gate: float | None = None
    least: int = 30
    drift_p: float = 0.01
    least_psi: float = 0.1
    refresh_s: float = 60.0


class LiveFacet(BaseModel, frozen=True):
    """One facet in the window.

    `kappa` compares the triage's label with each person's latest label: the primary label of a facet with one, the mean
    of the labels' kappas for a facet with many. An abstention agrees with nothing (`abstained` counts them). `unseen`
    is the same for people known not to have seen the model's labels. `coverage` counts the triaged incidents of the
    window that a person labelled. `has_drifted` is true if the model's labels shifted more than by chance, and enough
    for an alert.
    """

    facet: str
    kappa: Kappa
    unseen: Kappa
    abstained: int = Field(ge=0)
    coverage: Proportion
    state: State
    drift: Drift
    has_drifted: bool = False
    alerts: tuple[str, ...] = ()


class LiveReport(BaseModel, frozen=True):
    """Live agreement of the triaged facets, as of a moment."""

    computed_at: AwareDatetime
    taxonomy: str
    window_days: float
    window_cases: int
    gate: float | None
    facets: tuple[LiveFacet, ...]
    note: str = NOTE

    @property
    def has_alert(self) -> bool:
        """True if any facet has an alert."""
        return any(facet.alerts for facet in self.facets)


class LiveAgreement:
    """Reads the store and measures; reports are cached for `refresh_s`."""

    def __init__(self, store: Store, taxonomy: Taxonomy, options: LiveOptions = LiveOptions()) -> None:  # noqa: B008
        self._store = store
        self._taxonomy = taxonomy
        self._options = options
        self._lock = asyncio.Lock()
        self._cache: OrderedDict[frozenset[str] | None, tuple[float, LiveReport]] = OrderedDict()

    async def report(self, teams: frozenset[str] | None = None) -> LiveReport:
        """The report on incidents of these teams (None: all), at most `refresh_s` old."""
        async with self._lock:
            measured_at, report = self._cache.get(teams, (-math.inf, None))
            if report is None or time.monotonic() - measured_at >= self._options.refresh_s:
                report = await self.measure(datetime.now(UTC), teams)
                self._cache[teams] = time.monotonic(), report
                self._cache.move_to_end(teams)
                while len(self._cache) > _MOST_CACHED:
                    self._cache.popitem(last=False)
            return report

    async def measure(self, now: datetime, teams: frozenset[str] | None = None) -> LiveReport:
        """A new report as of `now`."""
        options, facets = self._options, self._taxonomy.triaged
        ids = [facet.id for facet in facets]
        since = now - timedelta(days=options.days)
        given = await self._store.reviews.list(self._taxonomy.id, ids, since, options.cases, teams=teams)
        triaged = await self._store.reviews.list_triaged(
            self._taxonomy.id, ids, since - timedelta(days=options.days), 2 * options.cases, teams
        )
        recent = [incident for incident in triaged[: options.cases] if incident.created_at >= since]
        reference = triaged[len(recent) :][: options.cases]

        def measure(facet: Facet) -> LiveFacet:
            judged = [judgement for judgement in given if judgement.facet == facet.id]
            return live_facet(facet, judged, recent, reference, options, tests=len(facets))

        return LiveReport(
            computed_at=now,
            taxonomy=f"{self._taxonomy.id} {self._taxonomy.version}",
            window_days=options.days,
            window_cases=options.cases,
            gate=options.gate,
            facets=await asyncio.to_thread(lambda: tuple(map(measure, facets))),
        )


def live_facet(
    facet: Facet,
    judged: Sequence[Judgement],
    recent: Sequence[TriagedIncident],
    reference: Sequence[TriagedIncident],
    options: LiveOptions,
    *,
    tests: int = 1,
) -> LiveFacet:
    """Measure one facet. `tests` is the number of drift tests made at once (Bonferroni)."""
    unseen = [judgement for judgement in judged if judgement.saw_model is False]
    kappa = kappa_with_model(facet, judged)
    drift = label_drift(_given(facet, recent), _given(facet, reference))
    state = _state(kappa, options)
    alerts = [_below(facet, kappa, options.gate)] if state == "below" and options.gate is not None else []
    has_drifted = (
        min(drift.recent, drift.reference) >= options.least
        and drift.p is not None
        and drift.psi is not None
        and drift.p * tests <= options.drift_p
        and drift.psi >= options.least_psi
    )
    if has_drifted:
        alerts.append(_drifted(facet, drift))
    return LiveFacet(
        facet=facet.id,
        kappa=kappa,
        unseen=kappa_with_model(facet, unseen),
        abstained=sum(not judgement.triaged for judgement in judged),
        coverage=Proportion(hits=sum(facet.id in incident.labelled for incident in recent), n=len(recent)),
        state=state,
        drift=drift,
        has_drifted=has_drifted,
        alerts=tuple(alerts),
    )


def kappa_with_model(facet: Facet, judged: Sequence[Judgement]) -> Kappa:
    """Kappa of people's and the triage's labels, see `LiveFacet`. All `judged` must have a triage."""
    if facet.cardinality == "multi":
        return _mean_kappa(judged)
    return cohen_kappa(
        [judgement.labels[0] for judgement in judged], [model_labels(judgement)[0] for judgement in judged]
    )


def model_labels(judgement: Judgement) -> tuple[str, ...]:
    """The labels of the triage; an abstention is a label that agrees with nothing."""
    return judgement.triaged or (ABSTAINED,)


def _mean_kappa(judged: Sequence[Judgement]) -> Kappa:
    """The mean of the labels' kappas, with a bootstrap interval over the judgements."""
    people = [set(judgement.labels) for judgement in judged]
    model = [set(judgement.triaged or ()) for judgement in judged]
    value = compare_sets(people, model, resamples=0).mean_kappa
    if value is None:
        why = "every label is given by both sides to all or to none" if judged else "there is nothing to compare"
        return Kappa(value=None, n=len(judged), undefined=why)
    labels = sorted(set().union(*people, *model))
    a, b = (
        np.array([[label in judgement for label in labels] for judgement in side], dtype=np.float64)
        for side in (people, model)
    )
    n = len(judged)
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES)
    shares_a, shares_b, agreed = weights @ a / n, weights @ b / n, weights @ (a == b) / n
    chance = shares_a * shares_b + (1 - shares_a) * (1 - shares_b)
    each = np.divide(agreed - chance, 1 - chance, out=np.full_like(chance, np.nan), where=chance < 1 - 1e-12)
    count = (~np.isnan(each)).sum(axis=1)
    means = np.divide(np.nansum(each, axis=1), count, out=np.full(len(each), np.nan), where=count > 0)
    return Kappa(value=value, n=n, interval=Interval.of(means) if n > 1 else None)


def _given(facet: Facet, triaged: Sequence[TriagedIncident]) -> list[str]:
    """The model's labels: all of them for a facet with many labels, else the primary one."""
    labels_of_incidents = [
        incident.labels[facet.id] or (ABSTAINED,) for incident in triaged if facet.id in incident.labels
    ]
    # A label set counts as one label, so that the test's draws are independent.
    return ["+".join(sorted(labels)) if facet.cardinality == "multi" else labels[0] for labels in labels_of_incidents]


def _state(kappa: Kappa, options: LiveOptions) -> State:
    if options.gate is None:
        return "no gate"
    if kappa.n < options.least or kappa.interval is None:
        return "too few"
    if kappa.interval.high < options.gate:
        return "below"
    return "above" if kappa.interval.low >= options.gate else "unsure"


def _below(facet: Facet, kappa: Kappa, gate: float) -> str:
    return (
        f"{facet.id}: kappa of model and people is {kappa} on {kappa.n} labels, wholly below the gate of {gate:.2f}. "
        "Look at the latest corrections, and run the suite again before trusting this facet."
    )


def _drifted(facet: Facet, drift: Drift) -> str:
    moved = [
        f"{label} went {way} from {percent(before)} to {percent(now)}"
        for way, change in (("up", drift.risen), ("down", drift.fallen))
        if change is not None
        for label, before, now in (change,)
    ]
    return (
        f"{facet.id}: the model's labels changed: {', '.join(moved)} ({drift.recent} incidents against "
        f"{drift.reference} before, p = {drift.p:.4f}, stability index {drift.psi:.2f}). Either other incidents come "
        "in, or the model, a prompt or the history changed."
    )
