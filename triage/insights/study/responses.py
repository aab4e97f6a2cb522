"""How incidents were detected and ended: by machines, customers, hotfixes, and actions that automation could take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from triage.domain.taxonomy import Facet
from triage.insights.study.contingency import fisher
from triage.insights.study.corpus import Corpus, Record, counted, tells, undisclosed, with_label
from triage.insights.study.distributions import Share
from triage.insights.study.durations import quantiles_of, time_to_mitigate
from triage.insights.study.roles import Roles

MINUTES_GIVEN = "given as an option"
MINUTES_MEDIAN = "the median time to mitigate of the incidents that such actions ended"
_RESAMPLES = 2000
_AT_ONCE = 1_000_000


class Gap(BaseModel, frozen=True):
    """How many of the incidents with one label, which tell how they were detected, customers had to report.

    `p` is that of a share as different from that of all other incidents of the facet (Fisher's exact test), times the
    number of its labels (Bonferroni).
    """

    facet: str
    label: str
    reported: Share
    elsewhere: Share
    p: float


class DetectionSplit(BaseModel, frozen=True):
    """Shares among the incidents that tell how they were detected; None where no label is said to mean it.

    `gaps` are the labels of incidents that customers had to report, most frequent first in each facet.
    """

    facet: str
    automated: Share | None
    reported: Share | None
    silent: Share
    gaps: tuple[Gap, ...]


class SavedTime(BaseModel, frozen=True):
    """Minutes that would have been saved, had automation ended the incidents that it could have ended.

    Supposed: each of the `n` of them with a known time to mitigate that took longer than `minutes` would have ended
    after `minutes`; the others as they did. They took `total_minutes`, all `n_all` incidents with a known time
    `all_minutes`. `interval` is the 95% one of `saved_minutes` (bootstrap over the incidents). Where nothing gives the
    assumption, since there are too few such incidents for a median, `minutes` and what follows from it are None.
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
    """Shares among the incidents whose write-up tells what ended them; None where no label is said to mean it.

    `automatable` counts those ended by at least one action that automation could take and by no other; `partly` those
    with at least one.
    """

    facet: str
    hotfix: Share | None
    automatable: Share | None
    partly: Share | None
    silent: Share
    saved: SavedTime | None


def detection_split(corpus: Corpus, roles: Roles) -> DetectionSplit | None:
    """None without roles, or where no incident carries a label of the facet."""
    if roles.detection is None:
        return None
    facet = corpus.taxonomy.facet(roles.detection.facet)
    labelled = [record for record in corpus.records if record.labels.get(facet.id)]
    if not labelled:
        return None
    told = [record for record in labelled if tells(facet, record)]
    automated, reported = (
        with_label(facet, labels, told) for labels in (roles.detection.automated, roles.detection.reported)
    )
    others = [one for one in corpus.taxonomy.facets if one not in (facet, roles.mitigations(corpus.taxonomy))]
    return DetectionSplit(
        facet=facet.id,
        automated=Share.of("detected by a machine", automated, len(told)) if roles.detection.automated else None,
        reported=Share.of("reported by customers", reported, len(told)) if roles.detection.reported else None,
        silent=Share.of("not told", [record for record in labelled if not tells(facet, record)], len(labelled)),
        gaps=tuple(gap for one in others for gap in _gaps(one, told, reported)),
    )


def mitigation_study(
    corpus: Corpus, roles: Roles, automated_minutes: float | None = None, seed: int = 0
) -> MitigationStudy | None:
    """None where the taxonomy, the roles or the incidents have no mitigations."""
    facet = roles.mitigations(corpus.taxonomy)
    if facet is None:
        return None
    labelled = [record for record in corpus.records if record.labels.get(facet.id)]
    if not labelled:
        return None
    told = [record for record in labelled if tells(facet, record)]
    hotfix = roles.mitigation.hotfix if roles.mitigation else ()
    automatable = roles.mitigation.automatable if roles.mitigation else ()
    some = with_label(facet, automatable, told)
    wholly = [record for record in some if set(counted(facet, record.labels)) - undisclosed(facet) <= set(automatable)]
    return MitigationStudy(
        facet=facet.id,
        hotfix=Share.of("needed a hotfix", with_label(facet, hotfix, told), len(told)) if hotfix else None,
        automatable=Share.of("ended by actions that automation could take, alone", wholly, len(told))
        if automatable
        else None,
        partly=Share.of("at least one such action", some, len(told)) if automatable else None,
        silent=Share.of("not told", [record for record in labelled if not tells(facet, record)], len(labelled)),
        saved=saved_time(wholly, corpus.records, automated_minutes, seed) if automatable else None,
    )


def saved_time(
    records: Sequence[Record], everyone: Sequence[Record], automated_minutes: float | None = None, seed: int = 0
) -> SavedTime:
    """What ending `records` after so many minutes would have saved; by default after their own median."""
    took = _took(records)
    every = _took(everyone)
    minutes = automated_minutes
    if minutes is None:
        found = quantiles_of([one for record in records if (one := time_to_mitigate(record.incident)) is not None])
        minutes = found.median if found else None
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
    return {key: one.minutes for key, one in known if one is not None and one.is_ended}


def _interval(times: NDArray[np.float64], minutes: float | None, seed: int) -> tuple[float, float]:
    """The percentile interval over resamples of the incidents, each with its own median where none is given."""
    lots = np.random.default_rng(seed)
    sums: list[float] = []
    while len(sums) < _RESAMPLES:
        size = min(_RESAMPLES - len(sums), max(1, _AT_ONCE // len(times)))
        drawn = lots.choice(times, size=(size, len(times)))
        supposed = np.median(drawn, axis=1, keepdims=True) if minutes is None else minutes
        sums += np.maximum(drawn - supposed, 0).sum(axis=1).tolist()
    low, high = np.quantile(sums, [0.025, 0.975])
    return float(low), float(high)


def _gaps(facet: Facet, told: Sequence[Record], reported: Sequence[Record]) -> list[Gap]:
    """The labels of a facet that customers reported incidents of."""
    labelled = [record for record in told if tells(facet, record)]
    of_reported = {record.id for record in reported}
    hits = [record for record in labelled if record.id in of_reported]
    labels = [label for label in facet.ids if label not in undisclosed(facet)]
    found = []
    for label in labels:
        carrying = [record for record in labelled if label in counted(facet, record.labels)]
        mine = [record for record in carrying if record.id in of_reported]
        if not mine:
            continue
        with_it = {record.id for record in carrying}
        others = [record for record in hits if record.id not in with_it]
        rest = len(labelled) - len(carrying)
        p = fisher(len(mine), len(carrying), len(others), rest) * len(labels)
        found.append(
            Gap(
                facet=facet.id,
                label=label,
                reported=Share.of(label, mine, len(carrying)),
                elsewhere=Share.of(f"not {label}", others, rest),
                p=min(1.0, p),
            )
        )
    return sorted(found, key=lambda gap: -gap.reported.hits)
