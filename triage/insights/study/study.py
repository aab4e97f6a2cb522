"""The whole study of a corpus, made in one go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from triage.insights.study.change_points import DRAWS
from triage.insights.study.comparison import Beside, compare
from triage.insights.study.corpus import Corpus
from triage.insights.study.distributions import Distribution, distributions
from triage.insights.study.durations import Group, groups
from triage.insights.study.labelling import FacetLabels, label_agreement
from triage.insights.study.missing import Missing, missing
from triage.insights.study.publication import Publication, publication
from triage.insights.study.repeats import SIMILARITY, Repeats, find_repeats
from triage.insights.study.responses import DetectionSplit, MitigationStudy, detection_split, mitigation_study
from triage.insights.study.roles import Roles
from triage.insights.study.trends import Trend, trends


class StudyOptions(NamedTuple):
    """What a study supposes, and how much it computes.

    Incidents without an end are taken to have gone on until `observed_until`. `automated_minutes` is the time to
    mitigate that automation is supposed to reach. From the cosine `similarity` on two incidents are nearly the same.
    `draws` are random orders of the months, `resamples` those of the intervals.
    """

    observed_until: datetime | None = None
    automated_minutes: float | None = None
    similarity: float = SIMILARITY
    draws: int = DRAWS
    resamples: int = 2000
    seed: int = 0


class Study(BaseModel, frozen=True):
    """Every figure of the study, with the ids of the incidents behind it. `origin` tells whose labels were studied.

    `notes` tell of what was left out before anything was counted, `missing` of what the corpus can't tell.
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
    durations: tuple[Group, ...]
    trends: tuple[Trend, ...]
    repeats: Repeats
    labelling: tuple[FacetLabels, ...]
    publication: Publication
    comparison: tuple[Beside, ...]
    missing: tuple[Missing, ...]


def make_study(
    corpus: Corpus,
    roles: Roles,
    options: StudyOptions = StudyOptions(),  # noqa: B008 - immutable
    vectors: Mapping[str, NDArray[np.float32]] | None = None,
) -> Study:
    """Study the corpus. `vectors` are embeddings (incident id -> unit vector), to find repeats by meaning."""
    corpus = corpus._replace(taxonomy=roles.applied(corpus.taxonomy))
    detection = detection_split(corpus, roles)
    mitigation = mitigation_study(corpus, roles, options.automated_minutes, options.seed)
    labelling = label_agreement(corpus.annotations, corpus.taxonomy, resamples=options.resamples, seed=options.seed)
    durations = groups(corpus, options.observed_until)
    followed = trends(corpus, draws=options.draws, seed=options.seed)
    repeats = find_repeats(corpus, vectors, options.similarity)
    return Study(
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
        durations=tuple(durations),
        trends=tuple(followed),
        repeats=repeats,
        labelling=tuple(labelling),
        publication=publication(),
        comparison=tuple(compare(corpus, roles, detection, mitigation, labelling)),
        missing=tuple(
            missing(
                corpus,
                roles,
                detection,
                mitigation,
                durations,
                followed,
                labelling,
                knows_meanings=repeats.similarity is not None,
            )
        ),
    )
