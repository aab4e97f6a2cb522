"""The whole study of a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from triage.insights.study.change_points import DRAWS
from triage.insights.study.checklist import Checklist
from triage.insights.study.comparison import ComparedFigure, compare
from triage.insights.study.corpus import Corpus
from triage.insights.study.detection_and_mitigation import (
    DetectionSplit,
    MitigationStudy,
    detection_split,
    mitigation_study,
)
from triage.insights.study.distributions import Distribution, distributions
from triage.insights.study.durations import DurationGroup, groups
from triage.insights.study.label_agreement import FacetLabels, label_agreement
from triage.insights.study.missing_figures import Missing, missing
from triage.insights.study.publication import Publication, publication
from triage.insights.study.repeats import SIMILARITY, Repeats, find_repeats
from triage.insights.study.roles import Roles
from triage.insights.study.trends import Trend, trends


class StudyOptions(NamedTuple):
    """Assumptions and computing effort of a study.

    Incidents without an end are taken as open until `observed_until`. `automated_minutes` is the assumed time to
    mitigate of automation. `similarity` is the cosine from which incidents are near duplicates. `draws` is the number
    of permutations of the months, `resamples` that of the intervals.
    """

    observed_until: datetime | None = None
    automated_minutes: float | None = None
    similarity: float = SIMILARITY
    draws: int = DRAWS
    resamples: int = 2000
    seed: int = 0


class Study(BaseModel, frozen=True):
    """Every figure of the study, with the ids of the incidents behind it. `origin` says who gave the labels.

    `notes` say what was left out beforehand, `missing` what the corpus can't show. `checklist` is the adoption
    checklist of the installation, None if only a part of its incidents or a file was studied.
    """

    corpus: str
    taxonomy: str
    origin: str
    n: int
    first: str | None
    last: str | None
    observed_until: datetime | None
    notes: tuple[str, ...]
    distributions: tuple[Distribution, ...]
    detection: DetectionSplit | None
    mitigation: MitigationStudy | None
    durations: tuple[DurationGroup, ...]
    trends: tuple[Trend, ...]
    repeats: Repeats
    labelling: tuple[FacetLabels, ...]
    publication: Publication
    comparison: tuple[ComparedFigure, ...]
    missing: tuple[Missing, ...]
    checklist: Checklist | None = None


def make_study(
    corpus: Corpus,
    roles: Roles,
    options: StudyOptions = StudyOptions(),  # noqa: B008 - immutable
    vectors: Mapping[str, NDArray[np.float32]] | None = None,
    checklist: Checklist | None = None,
) -> Study:
    """Study the corpus. `vectors` are embeddings (incident id -> unit vector) to find repeats by meaning."""
    corpus = corpus._replace(taxonomy=roles.applied(corpus.taxonomy))
    detection = detection_split(corpus, roles)
    mitigation = mitigation_study(corpus, roles, options.automated_minutes, options.seed)
    labelling = label_agreement(corpus.annotations, corpus.taxonomy, resamples=options.resamples, seed=options.seed)
    followed = trends(corpus, draws=options.draws, seed=options.seed)
    study = Study(
        corpus=corpus.name,
        taxonomy=f"{corpus.taxonomy.id}@{corpus.taxonomy.version}",
        origin=corpus.origin,
        n=len(corpus.records),
        first=followed[0].months[0].month if followed else None,
        last=followed[0].months[-1].month if followed else None,
        observed_until=options.observed_until,
        notes=corpus.notes,
        distributions=tuple(distributions(corpus)),
        detection=detection,
        mitigation=mitigation,
        durations=tuple(groups(corpus, options.observed_until)),
        trends=tuple(followed),
        repeats=find_repeats(corpus, vectors, options.similarity),
        labelling=tuple(labelling),
        publication=publication(),
        comparison=tuple(compare(corpus, roles, detection, mitigation, labelling)),
        missing=(),
        checklist=checklist,
    )
    return study.model_copy(update={"missing": tuple(missing(corpus, roles, study))})


MOST_GROUPS = 100
"""The most groups of repeats, the largest first."""
_IDS = frozenset({"incident_ids", "ended", "open", "unknown", "unlabelled"})


def shortened(study: Study, most_ids: int) -> dict[str, Any]:
    """The study for JSON with at most `most_ids` ids per figure and `MOST_GROUPS` groups of repeats.

    All counts are those of the whole study.
    """
    document = study.model_dump(mode="json")
    document["repeats"]["groups"] = document["repeats"]["groups"][:MOST_GROUPS]
    _shorten(document, most_ids)
    return document


def _shorten(value: Any, most: int) -> None:
    if isinstance(value, list):
        for each in value:
            _shorten(each, most)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in _IDS:
                value[name] = each[:most]
            else:
                _shorten(each, most)
