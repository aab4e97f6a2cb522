"""What the endpoints work with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, NamedTuple, cast

from fastapi import Depends, Request

from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.insights.live_agreement import LiveAgreement, LiveFigures
from triage.insights.study.loading import Studies
from triage.labels.annotation_job.adjudication import Adjudication
from triage.labels.annotation_job.labelling import Labelling
from triage.labels.annotation_job.worklist import Worklist
from triage.labels.preview import Previewer
from triage.server.api.keyring import Keyring
from triage.server.jobs import Jobs
from triage.server.metrics import Metrics
from triage.server.notifications import Notifier
from triage.store import Store


class Check(NamedTuple):
    """Something that `/readyz` looks at. `probe` returns a word on its state, or raises.

    Without a part that `is_required` the service is not ready; without another one it works, if less well.
    """

    probe: Callable[[], Awaitable[str]]
    is_required: bool = True


class Service(NamedTuple):
    """The parts behind the API. `taxonomies` are those that can be read, by id; the casebook's is the one in use.

    Who does something that takes a core for long has the `turn` for as long.
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
    keyring: Keyring
    notifier: Notifier
    previewer: Previewer
    turn: asyncio.Lock
    max_write_up_bytes: int
    wait_limit_s: float

    @property
    def labelling(self) -> Labelling:
        """The labelling with the taxonomy in use."""
        return Labelling(self.store, self.casebook.taxonomy)

    @property
    def adjudication(self) -> Adjudication:
        """The adjudication of what is labelled."""
        return Adjudication(self.casebook, self.store)

    @property
    def worklist(self) -> Worklist:
        """What people are to look at."""
        return Worklist(self.store, self.casebook.taxonomy)


def _service(request: Request) -> Service:
    return cast("Service", request.app.state.service)


Parts = Annotated[Service, Depends(_service)]
