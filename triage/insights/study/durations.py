"""Times to detect and to mitigate, with incidents whose end is not known taken for what is known of them."""

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
"""With fewer ends than this no quantile is told."""
MOST_SEVERITIES = 20

_Z = 1.959964
Measure = Literal["ttd", "ttm"]


class Duration(NamedTuple):
    """Minutes from the start: to the end, or, where `is_ended` is False, to the last moment at which it went on."""

    minutes: float
    is_ended: bool


class Step(NamedTuple):
    """The Kaplan-Meier estimate from `minutes` on: the share that lasts longer, and its variance by Greenwood."""

    minutes: float
    surviving: float
    variance: float


class Quantiles(BaseModel, frozen=True):
    """Minutes by which a quarter, half, three quarters and nine tenths have ended; None where that is not reached.

    `interval` is the 95% one of the median; an end of it is None where the incidents followed don't bound it.
    """

    p25: float | None
    median: float | None
    p75: float | None
    p90: float | None
    interval: tuple[float | None, float | None]


class Group(BaseModel, frozen=True):
    """The durations of the incidents with one label. `quantiles` is None where fewer than `SMALL` ended.

    Of the `n` so many ended, are open (known to have lasted a time, not when it ended) and are unknown; the latter
    count for nothing. `ended`, `open` and `unknown` are their ids. Of those that ended, `n_to_resolution` have no known
    mitigation, and their time to mitigate is that to the resolution. `n_without_end` counts those of which a start is
    known and no end.
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
    """None where start or detection is not known: an incident that is written up was detected, so none is open."""
    return None if incident.ttd_minutes is None else Duration(incident.ttd_minutes, is_ended=True)


def time_to_mitigate(incident: Incident, observed_until: datetime | None = None) -> Duration | None:
    """To mitigation, or to resolution where that is all that is known.

    Without an end the incident is known to have gone on until `observed_until`, or, without that, until it was
    detected. None where neither is known.
    """
    if incident.ttm_minutes is not None:
        return Duration(incident.ttm_minutes, is_ended=True)
    last = observed_until or incident.detected_at
    if incident.started_at is None or last is None or last <= incident.started_at:
        return None
    return Duration((last - incident.started_at).total_seconds() / 60, is_ended=False)


def kaplan_meier(durations: Iterable[Duration]) -> list[Step]:
    """The share of incidents that last longer than each time at which one ended.

    An incident that is open at a time at which another ended counts as at risk at that time. Source: E. L. Kaplan &
    P. Meier, Nonparametric estimation from incomplete observations, Journal of the American Statistical Association 53
    (1958).
    """
    everyone = sorted(durations)
    at_risk, surviving, sum_ = len(everyone), 1.0, 0.0
    steps: list[Step] = []
    for minutes, together in itertools.groupby(everyone, key=lambda one: one.minutes):
        tied = list(together)
        ends = sum(one.is_ended for one in tied)
        if ends:
            surviving *= 1 - ends / at_risk
            sum_ += ends / (at_risk * (at_risk - ends)) if ends < at_risk else math.inf
            variance = surviving**2 * sum_ if surviving else 0.0
            steps.append(Step(minutes, surviving, variance))
        at_risk -= len(tied)
    return steps


def quantile(steps: Sequence[Step], share: float) -> float | None:
    """The first time by which at least `share` of the incidents have ended; None where it is not reached."""
    # The product of fractions may miss a round share by an ulp.
    return next((step.minutes for step in steps if step.surviving <= 1 - share + 1e-12), None)


def median_interval(steps: Sequence[Step]) -> tuple[float | None, float | None]:
    """The times at which a half is a plausible share that lasts longer: a 95% interval of the median.

    R. Brookmeyer & J. Crowley, A confidence interval for the median survival time, Biometrics 38 (1982), with the share
    transformed by log(-log) so that bounds stay between 0 and 1.
    """
    inside = [step.minutes for step in steps if abs(_distance(step)) <= _Z]
    after = next((step.minutes for step in steps if _distance(step) < -_Z), None)
    low = inside[0] if inside else quantile(steps, 0.5)
    return low, after


def _distance(step: Step) -> float:
    """How many standard errors the share that lasts longer lies above a half; NaN where nothing is left to tell."""
    if step.surviving <= 0:
        return math.nan
    if step.surviving >= 1 or not step.variance:
        return math.inf
    error = math.sqrt(step.variance) / abs(step.surviving * math.log(step.surviving))
    return (math.log(math.log(2)) - math.log(-math.log(step.surviving))) / error


def quantiles_of(durations: Sequence[Duration]) -> Quantiles | None:
    """None where fewer than `SMALL` ended."""
    if sum(one.is_ended for one in durations) < SMALL:
        return None
    steps = kaplan_meier(durations)
    return Quantiles(
        p25=quantile(steps, 0.25),
        median=quantile(steps, 0.5),
        p75=quantile(steps, 0.75),
        p90=quantile(steps, 0.9),
        interval=median_interval(steps),
    )


def group(
    measure: Measure, facet: str | None, label: str, records: Sequence[Record], observed_until: datetime | None = None
) -> Group:
    """The durations of these incidents."""
    known: list[tuple[Record, Duration]] = []
    unknown: list[Record] = []
    for record in records:
        found = (
            time_to_detect(record.incident) if measure == "ttd" else time_to_mitigate(record.incident, observed_until)
        )
        if found is None:
            unknown.append(record)
        else:
            known.append((record, found))
    ended, still = ids(r for r, one in known if one.is_ended), ids(r for r, one in known if not one.is_ended)
    return Group(
        measure=measure,
        facet=facet,
        label=label,
        n=len(records),
        n_ended=len(ended),
        n_open=len(still),
        n_unknown=len(unknown),
        n_to_resolution=sum(_is_to_resolution(record.incident) for record in records) if measure == "ttm" else 0,
        n_without_end=sum(_is_without_end(record.incident) for record in records) if measure == "ttm" else 0,
        ended=ended,
        open=still,
        unknown=ids(unknown),
        quantiles=quantiles_of([one for _, one in known]),
    )


def _is_to_resolution(incident: Incident) -> bool:
    return incident.started_at is not None and incident.mitigated_at is None and incident.resolved_at is not None


def _is_without_end(incident: Incident) -> bool:
    return incident.started_at is not None and incident.mitigated_at is None and incident.resolved_at is None


def groups(corpus: Corpus, observed_until: datetime | None = None) -> list[Group]:
    """Both times of all incidents, and of those with each label; severity as written stands beside the labels.

    Of severities as written the `MOST_SEVERITIES` most frequent are taken.
    """
    found: list[Group] = []
    severities = Counter(record.incident.severity for record in corpus.records if record.incident.severity)
    frequent = sorted(severity for severity, _ in severities.most_common(MOST_SEVERITIES))
    measures: tuple[Measure, ...] = ("ttd", "ttm")
    for measure in measures:
        found.append(group(measure, None, "all incidents", corpus.records, observed_until))
        for facet in corpus.taxonomy.facets:
            for label in facet.ids:
                carrying = [record for record in corpus.records if label in counted(facet, record.labels)]
                if carrying and label not in undisclosed(facet):
                    found.append(group(measure, facet.id, label, carrying, observed_until))
        for written in frequent:
            carrying = [record for record in corpus.records if record.incident.severity == written]
            found.append(group(measure, "severity as written", written, carrying, observed_until))
    return found
