"""Times to detect and to mitigate, with survival analysis for incidents without a known end."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel

from triage.domain.incident import Incident
from triage.insights.study.corpus import Corpus, Record, counted, ids, undisclosed

SMALL = 5
"""The fewest ended incidents for quantiles."""
MOST_SEVERITIES = 20

_Z = 1.959964
Measure = Literal["ttd", "ttm"]


class Duration(NamedTuple):
    """Minutes from the start to the end, or if not `is_ended` to the last time at which it was known to continue."""

    minutes: float
    is_ended: bool


class SurvivalStep(NamedTuple):
    """The Kaplan-Meier estimate from `minutes` on: the share that lasts longer, and Greenwood's variance."""

    minutes: float
    surviving: float
    variance: float


class Quantiles(BaseModel, frozen=True):
    """Minutes by which these shares of the incidents have ended; None if a share is not reached.

    `interval` is the 95% interval of the median; an end is None if the data do not bound it.
    """

    p25: float | None
    median: float | None
    p75: float | None
    p90: float | None
    interval: tuple[float | None, float | None]


class DurationGroup(BaseModel, frozen=True):
    """The durations of the incidents with one label. `quantiles` is None if fewer than `SMALL` ended.

    The `n` incidents either ended, are open (known to have lasted some time) or are unknown; unknown ones are ignored.
    `ended`, `open` and `unknown` are ids. Of the ended ones, `n_to_resolution` have no known mitigation and are timed
    to their resolution. `n_without_end` counts those with a start and no end.
    """

    measure: Measure
    facet: str | None
    label: str
    n: int
    n_ended: int
    n_open: int
    n_unknown: int
    n_to_resolution: int
    n_without_end: int
    ended: tuple[str, ...]
    open: tuple[str, ...]
    unknown: tuple[str, ...]
    quantiles: Quantiles | None


def time_to_detect(incident: Incident) -> Duration | None:
    """None if start or detection is unknown; incidents that are written up were detected, so none is open."""
    return None if incident.ttd_minutes is None else Duration(incident.ttd_minutes, is_ended=True)


def time_to_mitigate(incident: Incident, observed_until: datetime | None = None) -> Duration | None:
    """The time to mitigation, or to resolution if only that is known.

    Without an end the incident is open until `observed_until`, or else until its detection. None if neither is known.
    """
    if incident.ttm_minutes is not None:
        return Duration(incident.ttm_minutes, is_ended=True)
    last = observed_until or incident.detected_at
    if incident.started_at is None or last is None or last <= incident.started_at:
        return None
    return Duration((last - incident.started_at).total_seconds() / 60, is_ended=False)


def kaplan_meier(durations: Iterable[Duration]) -> list[SurvivalStep]:
    """The share of incidents that last longer than each time at which one ended.

    An incident that is open at such a time counts as at risk. Source: E. L. Kaplan & P. Meier, Nonparametric estimation
    from incomplete observations, Journal of the American Statistical Association 53 (1958).
    """
    everyone = sorted(durations)
    at_risk, surviving, sum_ = len(everyone), 1.0, 0.0
    steps: list[SurvivalStep] = []
    for minutes, together in itertools.groupby(everyone, key=lambda duration: duration.minutes):
        tied = list(together)
        ends = sum(duration.is_ended for duration in tied)
        if ends:
            surviving *= 1 - ends / at_risk
            sum_ += ends / (at_risk * (at_risk - ends)) if ends < at_risk else math.inf
            variance = surviving**2 * sum_ if surviving else 0.0
            steps.append(SurvivalStep(minutes, surviving, variance))
        at_risk -= len(tied)
    return steps


def survival_quantile(steps: Sequence[SurvivalStep], share: float) -> float | None:
    """The first time by which at least `share` of the incidents have ended, or None."""
    # The product of fractions may miss a round share by an ulp.
    return next((step.minutes for step in steps if step.surviving <= 1 - share + 1e-12), None)


def median_interval(steps: Sequence[SurvivalStep]) -> tuple[float | None, float | None]:
    """The 95% interval of the median survival time.

    R. Brookmeyer & J. Crowley, A confidence interval for the median survival time, Biometrics 38 (1982), with the share
    transformed by log(-log) so that bounds stay between 0 and 1.
    """
    inside = [step.minutes for step in steps if abs(_distance(step)) <= _Z]
    after = next((step.minutes for step in steps if _distance(step) < -_Z), None)
    low = inside[0] if inside else survival_quantile(steps, 0.5)
    return low, after


def _distance(step: SurvivalStep) -> float:
    """How many standard errors the surviving share is above one half; NaN if none survive."""
    if step.surviving <= 0:
        return math.nan
    if step.surviving >= 1 or not step.variance:
        return math.inf
    error = math.sqrt(step.variance) / abs(step.surviving * math.log(step.surviving))
    return (math.log(math.log(2)) - math.log(-math.log(step.surviving))) / error


def quantiles_of(durations: Sequence[Duration]) -> Quantiles | None:
    """None if fewer than `SMALL` ended."""
    if sum(duration.is_ended for duration in durations) < SMALL:
        return None
    steps = kaplan_meier(durations)
    return Quantiles(
        p25=survival_quantile(steps, 0.25),
        median=survival_quantile(steps, 0.5),
        p75=survival_quantile(steps, 0.75),
        p90=survival_quantile(steps, 0.9),
        interval=median_interval(steps),
    )


def group(
    measure: Measure, facet: str | None, label: str, records: Sequence[Record], observed_until: datetime | None = None
) -> DurationGroup:
    known: list[tuple[Record, Duration]] = []
    unknown: list[Record] = []
    for record in records:
        incident = record.incident
        duration = time_to_detect(incident) if measure == "ttd" else time_to_mitigate(incident, observed_until)
        if duration is None:
            unknown.append(record)
        else:
            known.append((record, duration))
    ended, still = (ids(r for r, took in known if took.is_ended == is_ended) for is_ended in (True, False))
    unmitigated = [
        record.incident
        for record in records
        if measure == "ttm" and record.incident.started_at is not None and record.incident.mitigated_at is None
    ]
    return DurationGroup(
        measure=measure,
        facet=facet,
        label=label,
        n=len(records),
        n_ended=len(ended),
        n_open=len(still),
        n_unknown=len(unknown),
        n_to_resolution=sum(incident.resolved_at is not None for incident in unmitigated),
        n_without_end=sum(incident.resolved_at is None for incident in unmitigated),
        ended=ended,
        open=still,
        unknown=ids(unknown),
        quantiles=quantiles_of([took for _, took in known]),
    )


def groups(corpus: Corpus, observed_until: datetime | None = None) -> list[DurationGroup]:
    """Both times of all incidents, of those with each label, and of the `MOST_SEVERITIES` most frequent severities as
    written."""
    results: list[DurationGroup] = []
    severities = Counter(record.incident.severity for record in corpus.records if record.incident.severity)
    frequent = sorted(severity for severity, _ in severities.most_common(MOST_SEVERITIES))
    measures: tuple[Measure, ...] = ("ttd", "ttm")
    for measure in measures:
        results.append(group(measure, None, "all incidents", corpus.records, observed_until))
        for facet in corpus.taxonomy.facets:
            for label in facet.ids:
                carrying = [record for record in corpus.records if label in counted(facet, record.labels)]
                if carrying and label not in undisclosed(facet):
                    results.append(group(measure, facet.id, label, carrying, observed_until))
        for written in frequent:
            carrying = [record for record in corpus.records if record.incident.severity == written]
            results.append(group(measure, "severity as written", written, carrying, observed_until))
    return results
