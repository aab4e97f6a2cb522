"""Figures that a corpus can't give: which field or label is missing, and how to provide it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from triage.domain.taxonomy import Facet
from triage.insights.study.change_points import FEWEST, SHORTEST
from triage.insights.study.corpus import Corpus
from triage.insights.study.detection_and_mitigation import DetectionSplit, MitigationStudy
from triage.insights.study.durations import SMALL, DurationGroup
from triage.insights.study.label_agreement import FacetLabels
from triage.insights.study.roles import Roles
from triage.insights.study.trends import Trend


class Missing(BaseModel, frozen=True):
    """A figure that the study can't give, or only for some incidents: why, and what to do about it."""

    figure: str
    why: str
    how: str


_REPEATS = Missing(
    figure="repeats told in other words",
    why="the write-ups' words were compared, not their meaning",
    how="--similarity 0.85 embeds the incidents of a file; those of the store are embedded once triaged",
)


def missing(
    corpus: Corpus,
    roles: Roles,
    detection: DetectionSplit | None,
    mitigation: MitigationStudy | None,
    durations: Sequence[DurationGroup],
    trends: Sequence[Trend],
    labelling: Sequence[FacetLabels],
    *,
    knows_meanings: bool,
) -> list[Missing]:
    """All missing figures, in the order of the study."""
    return [
        *_labels(corpus),
        *_detection(corpus, roles, detection),
        *_mitigation(corpus, roles, mitigation),
        *_times(corpus, durations),
        *_trends(trends),
        *(() if knows_meanings else (_REPEATS,)),
        *_agreement(labelling),
    ]


def _labels(corpus: Corpus) -> Iterator[Missing]:
    n = len(corpus.records)
    for facet in corpus.taxonomy.facets:
        labelled = [record for record in corpus.records if record.labels.get(facet.id)]
        if not labelled:
            yield Missing(
                figure=f"shares of {facet.name.lower()}",
                why="no incident is labelled with it",
                how=f"label facet {facet.id}: a column {facet.id} in the file, or `triage annotate`",
            )
        elif len(labelled) * 2 < n:
            yield Missing(
                figure=f"shares of {facet.name.lower()} of all incidents",
                why=f"only {len(labelled)} of {n} are labelled with it, which may be no fair sample",
                how=f"label facet {facet.id} of the others too",
            )


def _detection(corpus: Corpus, roles: Roles, found: DetectionSplit | None) -> Iterator[Missing]:
    figure = "how incidents were detected, and detection gaps"
    if roles.detection is None:
        yield Missing(
            figure=figure,
            why="no facet is said to tell it",
            how="label how each was detected, and say which labels mean it: "
            "--role automated=FACET:LABEL --role reported=FACET:LABEL, or --roles FILE",
        )
        return
    facet = corpus.taxonomy.facet(roles.detection.facet)
    if found is None:
        yield _unlabelled(figure, facet)
        return
    for name, what in (("automated", "the share detected by machines"), ("reported", "detection gaps")):
        if not getattr(roles.detection, name):
            yield _without_role(what, facet, f"--role {name}={facet.id}:LABEL")
    if found.silent.hits * 2 > found.silent.n:
        yield Missing(
            figure=f"{figure}, of all incidents",
            why=f"{found.silent.hits} of {found.silent.n} write-ups don't tell it",
            how="write it up: who or what detected the incident first",
        )


def _without_role(figure: str, facet: Facet, how: str) -> Missing:
    return Missing(figure=figure, why=f"no label of facet {facet.id} is said to mean it", how=how)


def _unlabelled(figure: str, facet: Facet) -> Missing:
    return Missing(
        figure=figure,
        why=f"no incident is labelled with facet {facet.id}",
        how=f"label it: a column {facet.id} in the file, or `triage annotate`",
    )


def _mitigation(corpus: Corpus, roles: Roles, found: MitigationStudy | None) -> Iterator[Missing]:
    facet = roles.mitigations(corpus.taxonomy)
    figure = "mitigations, hotfixes, and what automation would save"
    if facet is None:
        yield Missing(
            figure=figure,
            why="no facet is said to hold what ended incidents",
            how="label it, and give the facet `role: mitigation` in the taxonomy, or say --role hotfix=FACET:LABEL",
        )
        return
    if found is None:
        yield _unlabelled(figure, facet)
        return
    for name, what in (("hotfix", "the share that needed a hotfix"), ("automatable", "what automation would save")):
        if roles.mitigation is None or not getattr(roles.mitigation, name):
            yield _without_role(what, facet, f"--role {name}={facet.id}:LABEL,LABEL")
    if found.saved is not None and found.saved.saved_minutes is None:
        yield Missing(
            figure="what automation would save",
            why=f"only {found.saved.n} incident(s) that such actions ended have a known time, and it takes {SMALL}",
            how="give started_at and mitigated_at, or suppose a time with --automated-minutes",
        )


def _times(corpus: Corpus, durations: Sequence[DurationGroup]) -> Iterator[Missing]:
    n = len(corpus.records)
    fields = {
        "ttd": ("time to detect", ("detected_at",)),
        "ttm": ("time to mitigate", ("mitigated_at", "resolved_at")),
    }
    for group in durations:
        if group.facet is None and group.n_without_end and not group.n_open:
            yield Missing(
                figure="time to mitigate of incidents without an end",
                why=f"{group.n_without_end} have started_at and no end, and count for nothing",
                how="--observed-until MOMENT if they were still going on then",
            )
    for measure, (what, ends) in fields.items():
        everyone = next(group for group in durations if group.measure == measure and group.facet is None)
        if everyone.n_ended >= SMALL and everyone.n_unknown * 2 <= n:
            continue
        starts = sum(record.incident.started_at is not None for record in corpus.records)
        given = {end: sum(getattr(record.incident, end) is not None for record in corpus.records) for end in ends}
        counts = ", ".join(f"{count} have {name}" for name, count in {"started_at": starts, **given}.items())
        yield Missing(
            figure=f"{what}{'' if everyone.n_ended < SMALL else ' of all incidents'}",
            why=f"of {n} incidents {counts}",
            how=f"give started_at and {' or '.join(ends)}"
            + (", or --field duration_minutes=FIELD where the file has a duration" if measure == "ttm" else ""),
        )


def _trends(trends: Sequence[Trend]) -> Iterator[Missing]:
    if not trends:
        yield Missing(figure="incidents by month, and changes", why="no incident has started_at", how="give started_at")
    elif trends[0].number is None:
        yield Missing(
            figure="changes over time",
            why=f"there are {trends[0].n} incidents with a known start in {len(trends[0].months)} months",
            how=f"it takes {FEWEST} incidents in {2 * SHORTEST} months",
        )


def _agreement(labelling: Sequence[FacetLabels]) -> Iterator[Missing]:
    if not any(labels.people.value is not None for labels in labelling):
        why = next((labels.people.undefined for labels in labelling if labels.people.undefined), None)
        yield Missing(
            figure="agreement of the labels",
            why=why or "the labels come without their annotators",
            how="have two people label the same incidents: `triage annotate` with --store, or --annotations FILE",
        )
