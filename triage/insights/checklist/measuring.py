"""What the checklist is measured on, read from the store and from the folders of suites and runs."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from triage.domain.errors import TriageError
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.archive import Archive
from triage.evaluation.suites import Suite
from triage.insights.checklist.steps import DEFAULT_BARS, Bars, Checklist, Corpus, Gates, checklist
from triage.insights.live_agreement import LiveAgreement
from triage.insights.study import Roles
from triage.labels.annotation_job.status import job_status
from triage.store import Store


async def measure_adoption(
    store: Store,
    taxonomy: Taxonomy,
    live: LiveAgreement,
    *,
    suites: Path,
    runs: Path,
    now: datetime,
    roles: Roles | None = None,
    bars: Bars = DEFAULT_BARS,
) -> Checklist:
    """Measure every step on what is stored, and on the suites and runs in these folders, as of `now`.

    Without `roles` those shipped for the taxonomy say which facets tell how incidents were detected and ended.
    """
    annotations = await store.annotations.list_all(taxonomy.id)
    corpus = Corpus(
        taxonomy,
        await store.gold.list_incidents(),
        await job_status(store, taxonomy),
        [one.created_at for one in annotations if one.is_adjudication],
        await asyncio.to_thread(gates_in, suites, runs),
        await live.measure(now),
        roles or Roles.load(taxonomy),
    )
    return checklist(corpus, now, bars)


def gates_in(suites: Path, runs: Path) -> Gates:
    """What is in both folders; suites that can't be read are no suites with gates."""
    files = sorted([*suites.glob("*.yaml"), *suites.glob("*.yml")])
    with_gates = []
    for file in files:
        try:
            suite = Suite.load(file)
        except TriageError:
            continue
        if suite.gates:
            with_gates.append(suite.name)
    gated = [info for _, info in Archive(runs).infos() if info.suite.gates]
    return Gates(len(files), tuple(with_gates), len(gated), max((info.started_at for info in gated), default=None))
