"""The study of what was labelled, over HTTP."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Response

from triage.insights.study import Study, StudyOptions
from triage.insights.study.loading import MOST
from triage.insights.study.repeats import SIMILARITY
from triage.insights.study.shortening import shortened
from triage.server.api.access import Reader
from triage.server.api.answers import raw_answer
from triage.server.api.parameters import MomentInQuery
from triage.server.api.problems import documented
from triage.server.api.service import Parts

router = APIRouter(prefix="/v1/study", tags=["history"])

_MOST = Query(ge=1, le=MOST, description="Study at most so many incidents, those that began last.")
_IDS = Query(ge=0, le=1000, description="Name at most so many incidents beside each figure.")
_UNTIL = Query(description="Incidents without an end were still going on then.")
_MINUTES = Query(ge=0, le=1e6, description="The time to mitigate that automation is supposed to reach.")
_SIMILARITY = Query(ge=0, le=1, description="Cosine from which on two incidents are nearly the same.")


@router.get("", operation_id="get_study", response_model=Study, responses=documented(422, 500))
async def get_study(
    service: Parts,
    who: Reader,
    most: Annotated[int, _MOST] = 5_000,
    incidents: Annotated[int, _IDS] = 20,
    observed_until: Annotated[MomentInQuery | None, _UNTIL] = None,
    automated_minutes: Annotated[float | None, _MINUTES] = None,
    similarity: Annotated[float, _SIMILARITY] = SIMILARITY,
) -> Response:
    """Study the labelled incidents that the key may see: kinds, detection, mitigation, durations, changes, repeats.

    Every share has its interval, and each figure stands beside the published one where the two can be compared;
    `missing` says what the incidents can't tell, and how to have it. One study is made at a time, so a second caller
    waits.
    """
    options = StudyOptions(observed_until=observed_until, automated_minutes=automated_minutes, similarity=similarity)
    study = await service.studies.of(who.teams, options, most)
    return raw_answer(json.dumps(shortened(study, incidents), allow_nan=False))
