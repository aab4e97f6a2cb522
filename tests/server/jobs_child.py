"""Jobs with the keyword pipeline, to be run in a process of their own until it is killed."""

from __future__ import annotations

import asyncio

from tests.parts import KeywordPipeline
from triage.domain.taxonomy import Taxonomy
from triage.server.jobs import JobOptions, Jobs
from triage.store import Store


async def main(url: str, slow_s: float, role: str) -> None:
    store = Store(url)
    options = JobOptions(role=role, concurrency=4, dead_after_s=1.5, sweep_s=1, retry_s=0.2, patience_s=0.2)
    jobs = Jobs(store, KeywordPipeline(Taxonomy.load("llm_inference"), slow_s=slow_s), url, options)
    await jobs.start()
    print(jobs.executor, flush=True)
    await asyncio.Event().wait()
