"""Figures that a corpus can't give: which field or label is missing, and how to provide it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel

from triage.domain.taxonomy import Facet
from triage.insights.study.change_points import FEWEST, SHORTEST
from triage.insights.study.corpus import Corpus
from triage.insights.study.detection_and_mitigation import DetectionSplit, MitigationStudy
from triage.insights.study.durations import SMALL, DurationGroup
from triage.insights.study.label_agreement import FacetLabels
from triage.insights.study.roles import Roles
from triage.insights.study.trends import Trend

if TYPE_CHECKING:
    from triage.insights.study.study import Study


class Missing(BaseModel, frozen=True):
    """A figure that the study can't give, or only for some incidents: why, and what to do about it."""

    figure: str
    why: str
    how: str


_Row = tuple[str, str, str]

_REPEATS = (
    "repeats told in other words",
    "the write-ups' words were compared, not their meaning",
    "--similarity 0.85 embeds the incidents of a file; those of the store are embedded once triaged",
)


def missing(corpus: Corpus, roles: Roles, study: Study) -> list[Missing]:
    """All figures that the study lacks, in its order."""
    rows = [
        *_labels(corpus),
        *_detection(corpus, roles, study.detection),
        *_mitigation(corpus, roles, study.mitigation),
        *_times(corpus, study.durations),
        *_trends(study.trends),
        *(() if study.repeats.similarity is not None else (_REPEATS,)),
        *_agreement(study.labelling),
    ]
    return [Missing(figure=figure, why=why, how=how) for figure, why, how in rows]


def _labels(corpus: Corpus) -> Iterator[_Row]:
    n = len(corpus.records)
    for facet in corpus.taxonomy.facets:
        figure = f"shares of {facet.name.lower()}"
        labelled = [record for record in corpus.records if record.labels.get(facet.id)]
        if not labelled:
            how = f"label facet {facet.id}: a column {facet.id} in the file, or `triage annotate`"
            yield figure, "no incident is labelled with it", how
        elif len(labelled) * 2 < n:
            why = f"only {len(labelled)} of {n} are labelled with it, which may be no fair sample"
            yield f"{figure} of all incidents", why, f"label facet {facet.id} of the others too"


def _detection(corpus: Corpus, roles: Roles, split: DetectionSplit | None) -> Iterator[_Row]:
    figure = "how incidents were detected, and detection gaps"
    if roles.detection is None:
        how = (
            "label how each was detected, and say which labels mean it: "
            "--role automated=FACET:LABEL --role reported=FACET:LABEL, or --roles FILE"
        )
        yield figure, "no facet is said to tell it", how
        return
    facet = corpus.taxonomy.facet(roles.detection.facet)
    if split is None:
        yield _unlabelled(figure, facet)
        return
    for name, what in (("automated", "the share detected by machines"), ("reported", "detection gaps")):
        if not getattr(roles.detection, name):
            yield _without_role(what, facet, f"--role {name}={facet.id}:LABEL")
    if split.silent.hits * 2 > split.silent.n:
        why = f"{split.silent.hits} of {split.silent.n} write-ups don't tell it"
        yield f"{figure}, of all incidents", why, "write it up: who or what detected the incident first"


def _without_role(figure: str, facet: Facet, how: str) -> _Row:
    return figure, f"no label of facet {facet.id} is said to mean it", how


def _unlabelled(figure: str, facet: Facet) -> _Row:
    how = f"label it: a column {facet.id} in the file, or `triage annotate`"
    return figure, f"no incident is labelled with facet {facet.id}", how


def _mitigation(corpus: Corpus, roles: Roles, study: MitigationStudy | None) -> Iterator[_Row]:
    facet = roles.mitigations(corpus.taxonomy)
    figure, saving = "mitigations, hotfixes, and what automation would save", "what automation would save"
    if facet is None:
        how = "label it, and give the facet `role: mitigation` in the taxonomy, or say --role hotfix=FACET:LABEL"
        yield figure, "no facet is said to hold what ended incidents", how
        return
    if study is None:
        yield _unlabelled(figure, facet)
        return
    for name, what in (("hotfix", "the share that needed a hotfix"), ("automatable", saving)):
        if roles.mitigation is None or not getattr(roles.mitigation, name):
            yield _without_role(what, facet, f"--role {name}={facet.id}:LABEL,LABEL")
    if study.saved is not None and study.saved.saved_minutes is None:
        why = f"only {study.saved.n} incident(s) that such actions ended have a known time, and it takes {SMALL}"
        yield saving, why, "give started_at and mitigated_at, or suppose a time with --automated-minutes"


def _times(corpus: Corpus, durations: Sequence[DurationGroup]) -> Iterator[_Row]:
    n = len(corpus.records)
    fields = {"ttd": ("time to detect", ("detected_at",)), "ttm": ("time to mitigate", ("mitigated_at", "resolved_at"))}
    for group in durations:
        if group.facet is None and group.n_without_end and not group.n_open:
            why = f"{group.n_without_end} have started_at and no end, and count for nothing"
            how = "--observed-until MOMENT if they were still going on then"
            yield "time to mitigate of incidents without an end", why, how
    for measure, (what, ends) in fields.items():
        everyone = next(group for group in durations if group.measure == measure and group.facet is None)
        if everyone.n_ended >= SMALL and everyone.n_unknown * 2 <= n:
            continue
        counts = {
            name: sum(getattr(record.incident, name) is not None for record in corpus.records)
            for name in ("started_at", *ends)
        }
        why = f"of {n} incidents {', '.join(f'{count} have {name}' for name, count in counts.items())}"
        how = f"give started_at and {' or '.join(ends)}"
        how += ", or --field duration_minutes=FIELD where the file has a duration" if measure == "ttm" else ""
        yield f"{what}{'' if everyone.n_ended < SMALL else ' of all incidents'}", why, how


def _trends(trends: Sequence[Trend]) -> Iterator[_Row]:
    if not trends:
        yield "incidents by month, and changes", "no incident has started_at", "give started_at"
    elif trends[0].number is None:
        why = f"there are {trends[0].n} incidents with a known start in {len(trends[0].months)} months"
        yield "changes over time", why, f"it takes {FEWEST} incidents in {2 * SHORTEST} months"


def _agreement(labelling: Sequence[FacetLabels]) -> Iterator[_Row]:
    if not any(labels.people.value is not None for labels in labelling):
        why = next((labels.people.undefined for labels in labelling if labels.people.undefined), None)
        how = "have two people label the same incidents: `triage annotate` with --store, or --annotations FILE"
        yield "agreement of the labels", why or "the labels come without their annotators", how
