"""How incidents were noticed and ended: by machines, customers, hotfixes, and actions that automation could take."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from triage.study.corpus import Corpus, Record, counted, tells, undisclosed, with_label
from triage.study.distributions import Distribution, Share, distribution
from triage.study.durations import quantiles_of, time_to_mitigate
from triage.study.roles import Detection, Mitigation
from triage.taxonomy import Facet

MINUTES_GIVEN = "given as an option"
MINUTES_MEDIAN = "the median time to mitigate of the incidents that such actions ended"


class DetectionSplit(BaseModel, frozen=True):
    """Shares among the incidents that tell how they were noticed. `gaps`: what customers had to report, by facet."""

    facet: str
    automated: Share
    reported: Share | None
    silent: Share
    gaps: tuple[Distribution, ...]


class SavedTime(BaseModel, frozen=True):
    """Minutes that would have been saved, had automation ended the incidents that it could have ended.

    Supposed: each of them that took longer than `minutes` would have ended after `minutes`; the others as they did.
    `incident_ids` are those with a known time to mitigate. `saved_minutes` and `minutes` are None where nothing gives
    the assumption: there are too few such incidents for a median.
    """

    minutes: float | None
    minutes_from: str
    saved_minutes: float | None
    total_minutes: float
    incident_ids: tuple[str, ...]


class MitigationStudy(BaseModel, frozen=True):
    """Shares among the incidents whose write-up tells what ended them.

    `automatable` counts those ended by at least one action that automation could take and by no other; `partly` those
    with at least one.
    """

    hotfix: Share | None
    automatable: Share | None
    partly: Share | None
    saved: SavedTime | None


def detection_split(corpus: Corpus, roles: Detection | None) -> DetectionSplit | None:
    """None without roles, or where no incident carries a label of the facet."""
    if roles is None:
        return None
    facet = corpus.taxonomy.facet(roles.facet)
    labelled = [record for record in corpus.records if record.labels.get(facet.id)]
    if not labelled:
        return None
    told = [record for record in labelled if tells(facet, record)]
    reported = with_label(facet, roles.reported, told)
    return DetectionSplit(
        facet=facet.id,
        automated=Share.of("noticed by a machine", with_label(facet, roles.automated, told), len(told)),
        reported=Share.of("reported by customers", reported, len(told)) if roles.reported else None,
        silent=Share.of("not told", [record for record in labelled if not tells(facet, record)], len(labelled)),
        gaps=tuple(_gaps(corpus, facet, reported)),
    )


def mitigation_study(
    corpus: Corpus, roles: Mitigation | None, automated_minutes: float | None = None
) -> MitigationStudy | None:
    """None without roles, or where the taxonomy or the incidents have no mitigations."""
    facet = corpus.taxonomy.mitigation
    if roles is None or facet is None:
        return None
    told = [record for record in corpus.records if tells(facet, record)]
    if not told:
        return None
    some = with_label(facet, roles.automatable, told)
    wholly = [
        record for record in some if set(counted(facet, record.labels)) - undisclosed(facet) <= set(roles.automatable)
    ]
    return MitigationStudy(
        hotfix=Share.of("needed a hotfix", with_label(facet, roles.hotfix, told), len(told)) if roles.hotfix else None,
        automatable=Share.of("ended by actions that automation could take", wholly, len(told))
        if roles.automatable
        else None,
        partly=Share.of("at least one such action", some, len(told)) if roles.automatable else None,
        saved=saved_time(wholly, automated_minutes) if roles.automatable else None,
    )


def saved_time(records: Sequence[Record], automated_minutes: float | None = None) -> SavedTime:
    """What ending these incidents after so many minutes would have saved; by default after their own median."""
    took = {
        record.id: one.minutes
        for record in records
        if (one := time_to_mitigate(record.incident)) is not None and one.is_ended
    }
    minutes = automated_minutes
    if minutes is None:
        known = [one for record in records if (one := time_to_mitigate(record.incident)) is not None]
        found = quantiles_of(known)
        minutes = found.median if found else None
    return SavedTime(
        minutes=minutes,
        minutes_from=MINUTES_MEDIAN if automated_minutes is None else MINUTES_GIVEN,
        saved_minutes=None if minutes is None else sum(max(0.0, one - minutes) for one in took.values()),
        total_minutes=sum(took.values()),
        incident_ids=tuple(took),
    )


def _gaps(corpus: Corpus, detection: Facet, reported: Sequence[Record]) -> list[Distribution]:
    """What the incidents that customers had to report were about."""
    others = [facet for facet in corpus.taxonomy.facets if facet not in (detection, corpus.taxonomy.mitigation)]
    about = (distribution(facet, facet.ids, reported) for facet in others)
    return [found for found in about if found.shares]
