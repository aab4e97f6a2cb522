"""The parts that the endpoints work with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, NamedTuple, cast

from fastapi import Depends, Request

from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.insights.live_agreement import LiveAgreement, LiveFigures
from triage.insights.study.corpus_loading import Studies
from triage.labels.annotation_job.adjudication import Adjudication
from triage.labels.annotation_job.labelling import Labelling
from triage.labels.annotation_job.worklist import Worklist
from triage.labels.preview import Previewer
from triage.server.api.authentication import Authenticator
from triage.server.api.intake import Intake
from triage.server.jobs import Jobs
from triage.server.metrics import Metrics
from triage.server.notifications import Notifier
from triage.store import Store


class Check(NamedTuple):
    """A check of `/readyz`. `probe` returns the state in a few words, or raises.

    The service is not ready while a required check fails.
    """

    probe: Callable[[], Awaitable[str]]
    is_required: bool = True


class Service(NamedTuple):
    """The parts behind the API.

    `taxonomies` are the readable ones by id; the casebook's is the one in use. Requests that keep a core busy for long
    hold `analysis_lock`, so that one runs at a time.
    """

    casebook: Casebook
    store: Store
    jobs: Jobs
    live: LiveAgreement
    live_figures: LiveFigures
    studies: Studies
    metrics: Metrics
    taxonomies: Mapping[str, Taxonomy]
    checks: Mapping[str, Check]
    authenticator: Authenticator
    notifier: Notifier
    previewer: Previewer
    analysis_lock: asyncio.Lock
    max_write_up_bytes: int
    wait_limit_s: float

    @property
    def intake(self) -> Intake:
        """The way in for incidents."""
        return Intake(self.casebook, self.store, self.jobs, self.max_write_up_bytes)

    @property
    def labelling(self) -> Labelling:
        """Labelling with the taxonomy in use."""
        return Labelling(self.store, self.casebook.taxonomy)

    @property
    def adjudication(self) -> Adjudication:
        """Adjudication of disagreements."""
        return Adjudication(self.casebook, self.store)

    @property
    def worklist(self) -> Worklist:
        """The incidents that need a person."""
        return Worklist(self.store, self.casebook.taxonomy)


def _service(request: Request) -> Service:
    return cast("Service", request.app.state.service)


Parts = Annotated[Service, Depends(_service)]
