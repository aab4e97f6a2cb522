"""How incidents were detected and ended: by machines, customers, hotfixes, and automatable actions."""

from __future__ import annotations

from collections.abc import Sequence
from math import lgamma

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from triage.domain.taxonomy import Facet
from triage.insights.study.corpus import Corpus, Record, counted, split_by_disclosure, tells, undisclosed, with_label
from triage.insights.study.distributions import Share
from triage.insights.study.durations import quantiles_of, time_to_mitigate
from triage.insights.study.roles import Roles

MINUTES_GIVEN = "given as an option"
MINUTES_MEDIAN = "the median time to mitigate of the incidents that such actions ended"
_RESAMPLES = 2000
_AT_ONCE = 1_000_000


class Gap(BaseModel, frozen=True):
    """How many of the incidents with one label customers reported, of those with a disclosed detection.

    `p` tests the difference from all other incidents of the facet (Fisher's exact test), times the number of the
    facet's labels (Bonferroni).
    """

    facet: str
    label: str
    reported: Share
    elsewhere: Share
    p: float


class DetectionSplit(BaseModel, frozen=True):
    """Shares of the incidents with a disclosed detection; None if no label has the role.

    `gaps` are labels with incidents that customers reported, most frequent first in each facet.
    """

    facet: str
    automated: Share | None
    reported: Share | None
    silent: Share
    gaps: tuple[Gap, ...]


class SavedTime(BaseModel, frozen=True):
    """Minutes that automation would have saved on the incidents that it could have ended.

    Assumption: each of these `n` incidents with a known time to mitigate would have taken at most `minutes`. They took
    `total_minutes`, all `n_all` incidents with a known time `all_minutes`. `interval` is the 95% bootstrap interval of
    `saved_minutes`. `minutes` and what depends on it are None if there are too few incidents for a median.
    """

    minutes: float | None
    minutes_from: str
    saved_minutes: float | None
    interval: tuple[float, float] | None
    total_minutes: float
    all_minutes: float
    n: int
    n_all: int
    incident_ids: tuple[str, ...]


class MitigationStudy(BaseModel, frozen=True):
    """Shares of the incidents with a disclosed mitigation; None if no label has the role.

    `automatable` counts incidents ended only by automatable actions, `partly` those with at least one.
    """

    facet: str
    hotfix: Share | None
    automatable: Share | None
    partly: Share | None
    silent: Share
    saved: SavedTime | None


def detection_split(corpus: Corpus, roles: Roles) -> DetectionSplit | None:
    """None without roles, or if no incident has a label of the facet."""
    if roles.detection is None:
        return None
    facet = corpus.taxonomy.facet(roles.detection.facet)
    disclosed, silent = split_by_disclosure(facet, corpus.records)
    if not disclosed and not silent:
        return None
    automated, reported = (
        with_label(facet, labels, disclosed) for labels in (roles.detection.automated, roles.detection.reported)
    )
    mitigations = roles.mitigations(corpus.taxonomy)
    others = [other for other in corpus.taxonomy.facets if other not in (facet, mitigations)]
    return DetectionSplit(
        facet=facet.id,
        automated=Share.of("detected by a machine", automated, len(disclosed)) if roles.detection.automated else None,
        reported=Share.of("reported by customers", reported, len(disclosed)) if roles.detection.reported else None,
        silent=Share.of("not told", silent, len(disclosed) + len(silent)),
        gaps=tuple(gap for other in others for gap in _gaps(other, disclosed, reported)),
    )


def mitigation_study(
    corpus: Corpus, roles: Roles, automated_minutes: float | None = None, seed: int = 0
) -> MitigationStudy | None:
    """None if the taxonomy, the roles or the incidents have no mitigations."""
    facet = roles.mitigations(corpus.taxonomy)
    if facet is None:
        return None
    disclosed, silent = split_by_disclosure(facet, corpus.records)
    if not disclosed and not silent:
        return None
    hotfix = roles.mitigation.hotfix if roles.mitigation else ()
    automatable = roles.mitigation.automatable if roles.mitigation else ()
    some = with_label(facet, automatable, disclosed)
    wholly = [record for record in some if set(counted(facet, record.labels)) - undisclosed(facet) <= set(automatable)]
    return MitigationStudy(
        facet=facet.id,
        hotfix=Share.of("needed a hotfix", with_label(facet, hotfix, disclosed), len(disclosed)) if hotfix else None,
        automatable=Share.of("ended by actions that automation could take, alone", wholly, len(disclosed))
        if automatable
        else None,
        partly=Share.of("at least one such action", some, len(disclosed)) if automatable else None,
        silent=Share.of("not told", silent, len(disclosed) + len(silent)),
        saved=saved_time(wholly, corpus.records, automated_minutes, seed) if automatable else None,
    )


def saved_time(
    records: Sequence[Record], everyone: Sequence[Record], automated_minutes: float | None = None, seed: int = 0
) -> SavedTime:
    """The time saved by ending `records` after these minutes, or after their own median."""
    took = _took(records)
    every = _took(everyone)
    minutes = automated_minutes
    if minutes is None:
        quantiles = quantiles_of(
            [duration for record in records if (duration := time_to_mitigate(record.incident)) is not None]
        )
        minutes = quantiles.median if quantiles else None
    times = np.array(list(took.values()), dtype=np.float64)
    saved = None if minutes is None else float(np.maximum(times - minutes, 0).sum())
    return SavedTime(
        minutes=minutes,
        minutes_from=MINUTES_MEDIAN if automated_minutes is None else MINUTES_GIVEN,
        saved_minutes=saved,
        interval=None if saved is None or len(times) < 2 else _interval(times, automated_minutes, seed),
        total_minutes=float(times.sum()),
        all_minutes=sum(every.values()),
        n=len(took),
        n_all=len(every),
        incident_ids=tuple(took),
    )


def _took(records: Sequence[Record]) -> dict[str, float]:
    known = ((record.id, time_to_mitigate(record.incident)) for record in records)
    return {key: duration.minutes for key, duration in known if duration is not None and duration.is_ended}


def _interval(times: NDArray[np.float64], minutes: float | None, seed: int) -> tuple[float, float]:
    """The percentile interval over resamples of the incidents, each with its own median if no time is given."""
    random = np.random.default_rng(seed)
    sums: list[float] = []
    while len(sums) < _RESAMPLES:
        size = min(_RESAMPLES - len(sums), max(1, _AT_ONCE // len(times)))
        drawn = random.choice(times, size=(size, len(times)))
        limit = np.median(drawn, axis=1, keepdims=True) if minutes is None else minutes
        sums += np.maximum(drawn - limit, 0).sum(axis=1).tolist()
    low, high = np.quantile(sums, [0.025, 0.975])
    return float(low), float(high)


def _gaps(facet: Facet, disclosed: Sequence[Record], reported: Sequence[Record]) -> list[Gap]:
    """The labels of a facet with incidents that customers reported."""
    labelled = [record for record in disclosed if tells(facet, record)]
    of_reported = {record.id for record in reported}
    hits = [record for record in labelled if record.id in of_reported]
    labels = [label for label in facet.ids if label not in undisclosed(facet)]
    gaps = []
    for label in labels:
        carrying = [record for record in labelled if label in counted(facet, record.labels)]
        mine = [record for record in carrying if record.id in of_reported]
        if not mine:
            continue
        with_it = {record.id for record in carrying}
        others = [record for record in hits if record.id not in with_it]
        rest = len(labelled) - len(carrying)
        p = fisher(len(mine), len(carrying), len(others), rest) * len(labels)
        gaps.append(
            Gap(
                facet=facet.id,
                label=label,
                reported=Share.of(label, mine, len(carrying)),
                elsewhere=Share.of(f"not {label}", others, rest),
                p=min(1.0, p),
            )
        )
    return sorted(gaps, key=lambda gap: -gap.reported.hits)


def fisher(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """The two-sided p-value of Fisher's exact test of `hits` of `n` against `other_hits` of `other_n`.

    It counts all tables with the same sums that are at most as likely as the observed one. Source: R. A. Fisher,
    Statistical methods for research workers, 5th ed. (1934), section 21.02.

    >>> round(fisher(3, 4, 1, 4), 4)
    0.4857
    """
    total = hits + other_hits
    least, most = max(0, total - other_n), min(n, total)
    logs = np.array([_ways(n, count) + _ways(other_n, total - count) for count in range(least, most + 1)])
    chances = np.exp(logs - _ways(n + other_n, total))
    # Equally likely tables differ in their last bits.
    as_rare = chances <= chances[hits - least] * (1 + 1e-7)
    return float(min(1.0, chances[as_rare].sum()))


def _ways(n: int, k: int) -> float:
    """The logarithm of the number of ways to choose `k` of `n`."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
