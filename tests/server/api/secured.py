"""A service that asks for keys, with the incidents of two teams that must not meet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from fastapi import FastAPI

from tests.parts import HashingEmbedder, KeywordPipeline, app_without_model, served
from triage.domain.principal import Scope
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.redaction import Redactor
from triage.server.api.authentication import AccessOptions
from triage.server.jobs import Jobs
from triage.store import Store, upgrade
from triage.store.keys import MadeKey


class Secured(NamedTuple):
    """The service, where it is, and a way to make keys for it."""

    app: FastAPI
    base_url: str
    database: str

    def key(self, *scopes: Scope, teams: Sequence[str] | None = None, **options: Any) -> MadeKey:
        """A new key, made by another process as it were."""
        return asyncio.run(self._new_key(scopes, teams, options))

    def client(self, *scopes: Scope, teams: Sequence[str] | None = None, **options: Any) -> httpx.Client:
        """A client with a new key."""
        text = self.key(*scopes, teams=teams, **options).text
        return httpx.Client(base_url=self.base_url, headers={"Authorization": f"Bearer {text}"}, timeout=30)

    async def _new_key(self, scopes: Sequence[Scope], teams: Sequence[str] | None, options: dict[str, Any]) -> MadeKey:
        store = Store(self.database)
        try:
            return await store.keys.create("-".join(teams or ["all"]), scopes, teams, **options)
        finally:
            await store.close()


@asynccontextmanager
async def casebook_of(database: str) -> AsyncIterator[tuple[Casebook, Store]]:
    """A casebook on this database as another process would open it, with an index of its own, and its store."""
    store, embedder = Store(database), HashingEmbedder()
    history = ChromaHistory.open(None, embedder.fingerprint)
    try:
        yield Casebook(store, history, Redactor(), embedder, Taxonomy.load("llm_inference")), store
    finally:
        history.close()
        await store.close()


MANY_FAILURES = AccessOptions(is_on=True, failures_per_minute=10_000)
"""Keys are needed, and a test may try as many wrong ones as it likes."""


@contextmanager
def secured(folder: Path, access: AccessOptions = MANY_FAILURES, **options: Any) -> Iterator[Secured]:
    """The service over a new database. With `lifespan=None` among the options its queue is worked on."""

    @asynccontextmanager
    async def no_work(_app: FastAPI) -> AsyncIterator[None]:
        yield

    database = f"sqlite:///{folder / 'triage.db'}"
    asyncio.run(upgrade(database))
    taxonomy = Taxonomy.load("llm_inference")
    store = Store(database)
    history = ChromaHistory.open(None, "hashing-64")
    jobs = Jobs(store, KeywordPipeline(taxonomy), f"sqlite:///{folder / 'jobs.db'}")
    app = app_without_model(
        Casebook(store, history, Redactor(), HashingEmbedder(), taxonomy),
        store,
        jobs,
        taxonomies={taxonomy.id: taxonomy},
        access_options=access,
        **{"lifespan": no_work} | options,
    )
    with served(app) as base_url:
        yield Secured(app, base_url, database)
    history.close()
