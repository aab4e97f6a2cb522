"""One's own figures beside the published ones, and why some can't be compared."""

from __future__ import annotations

from pydantic import BaseModel

from triage.agreement.report import AgreementReport
from triage.study.corpus import Corpus, counted, tells, with_label
from triage.study.distributions import Share
from triage.study.responses import DetectionSplit, MitigationStudy
from triage.study.roles import Published, Roles

FEWEST = 10
"""Incidents below which a share is not compared."""


class Beside(BaseModel, frozen=True):
    """A published figure and one's own. `why_not` tells why the two can't be compared; None where they can.

    `is_inside` says whether the published value lies in one's own 95% interval; None where they can't be compared.
    """

    published: Published
    own: float | None
    interval: tuple[float, float] | None
    n: int
    incident_ids: tuple[str, ...] = ()
    why_not: str | None = None
    is_inside: bool | None = None


def compare(
    corpus: Corpus,
    roles: Roles,
    detection: DetectionSplit | None,
    mitigation: MitigationStudy | None,
    agreement: AgreementReport | None,
) -> list[Beside]:
    """Each published figure beside one's own, in the order of the file."""
    found: list[Beside] = []
    for figure in roles.publication.figures if roles.publication else ():
        if figure.measure == "kappa":
            found.append(_of_kappa(figure, agreement))
            continue
        if figure.measure == "share":
            share, silent = _share(corpus, figure)
        elif figure.measure == "automated":
            share, silent = (detection.automated, detection.silent) if detection else (None, None)
        else:
            share, silent = (mitigation.hotfix, None) if mitigation else (None, None)
        found.append(_of_share(figure, share, silent))
    return found


def _share(corpus: Corpus, figure: Published) -> tuple[Share | None, Share | None]:
    if figure.facet is None:
        return None, None
    facet = corpus.taxonomy.facet(figure.facet)
    among = list(corpus.records)
    if figure.within is not None and facet.parent is not None:
        above = corpus.taxonomy.facet(facet.parent)
        among = [record for record in among if figure.within in counted(above, record.labels)]
    labelled = [record for record in among if record.labels.get(facet.id)]
    told = [record for record in labelled if tells(facet, record)]
    silent = [record for record in labelled if not tells(facet, record)]
    share = Share.of(figure.name, with_label(facet, figure.labels, told), len(told))
    return share, Share.of("not told", silent, len(labelled))


def _of_share(figure: Published, share: Share | None, silent: Share | None) -> Beside:
    if share is None or share.share is None or share.interval is None:
        return Beside(published=figure, own=None, interval=None, n=0, why_not="no incident is labelled with it")
    why_not = None
    if silent is not None and silent.hits * 2 > silent.n:
        why_not = f"{silent.hits} of {silent.n} write-ups don't tell it, so those that do are no fair sample"
    elif share.n < FEWEST:
        why_not = f"only {share.n} incident(s) tell it"
    low, high = share.interval
    return Beside(
        published=figure,
        own=share.share,
        interval=share.interval,
        n=share.n,
        incident_ids=share.incident_ids,
        why_not=why_not,
        is_inside=None if why_not else low <= figure.value <= high,
    )


def _of_kappa(figure: Published, agreement: AgreementReport | None) -> Beside:
    facet = next((one for one in agreement.facets if one.facet == figure.facet), None) if agreement else None
    if facet is None or facet.ceiling.value is None:
        why = facet.ceiling.undefined if facet else "no person's labels are at hand beside those studied"
        return Beside(published=figure, own=None, interval=None, n=0, why_not=f"{why}; it takes two people")
    interval = facet.ceiling.interval
    return Beside(
        published=figure,
        own=facet.ceiling.value,
        interval=(interval.low, interval.high) if interval else None,
        n=facet.ceiling.n,
        is_inside=interval.low <= figure.value <= interval.high if interval else None,
    )
