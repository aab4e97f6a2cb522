"""What stores and finds incidents: the system of record, the index of the history, and what needs only these."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from triage.app.settings import Settings
from triage.app.wiring.models import build_embedder
from triage.domain.errors import MisconfiguredService
from triage.domain.taxonomy import Taxonomy
from triage.observability.progress import Progress, silent

if TYPE_CHECKING:
    from triage.history.casebook import Casebook
    from triage.history.chroma import ChromaHistory
    from triage.history.indexing import NoIndex
    from triage.history.retrieval import Ranking
    from triage.insights.live_agreement import LiveAgreement, LiveOptions
    from triage.models.embedding import Embedder
    from triage.pipeline.classification.likeness import DefinitionReader
    from triage.redaction import Redactor
    from triage.server.notifications import Notifier
    from triage.store import Store
    from triage.store.encryption import Cipher


class Records(NamedTuple):
    """The store and the history, and what they are written and searched with."""

    taxonomy: Taxonomy
    store: Store
    history: ChromaHistory | NoIndex
    redactor: Redactor
    embedder: Embedder
    casebook: Casebook


@asynccontextmanager
async def open_records(
    settings: Settings, progress: Progress = silent, *, index_in_memory: bool = True
) -> AsyncIterator[Records]:
    """The store and the history of `settings`, with the shipped history loaded and the index up to date.

    With `index_in_memory` the index is built from the store for this process only, so that commands can run beside a
    service on the same data. The service keeps its index in the data folder.
    """
    async with _open_records(settings, None if index_in_memory else settings.data_dir / "index") as records:
        async with records.store.lock("fill"):
            await _load_shipped_history(records, settings, progress)
            await records.casebook.indexer.prepare(progress)
        yield records


@asynccontextmanager
async def open_index(settings: Settings) -> AsyncIterator[Casebook]:
    """The casebook over the index of a service, which is not updated first.

    Raises `MisconfiguredService` if a running service has the index in the data folder open.
    """
    async with _open_records(settings, settings.data_dir / "index") as records:
        yield records.casebook


@asynccontextmanager
async def open_importing(settings: Settings, progress: Progress = silent) -> AsyncIterator[tuple[Casebook, Store]]:
    """The casebook for bulk imports. The index of a Chroma server is written too; a service updates its own later."""
    async with _open_records(settings, None, is_indexed=bool(settings.chroma_url)) as records:
        await _load_shipped_history(records, settings, progress)
        yield records.casebook, records.store


@asynccontextmanager
async def _open_records(settings: Settings, folder: Path | None, *, is_indexed: bool = True) -> AsyncIterator[Records]:
    """The store and the history as they are; see `open_history` for `folder`."""
    from triage.history.casebook import Casebook
    from triage.history.indexing import NoIndex
    from triage.redaction import Redactor

    async with open_store(settings) as (store, taxonomy):
        embedder, redactor = build_embedder(settings), Redactor()
        history = open_history(settings, embedder, folder) if is_indexed else NoIndex()
        try:
            casebook = Casebook(store, history, redactor, embedder, taxonomy)
            yield Records(taxonomy, store, history, redactor, embedder, casebook)
        finally:
            history.close()
            await embedder.aclose()


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[tuple[Store, Taxonomy]]:
    """The store and the taxonomy, for work that needs no index and no model."""
    taxonomy = Taxonomy.load(settings.taxonomy)
    store = await prepare_store(settings)
    try:
        yield store, taxonomy
    finally:
        await store.close()


@asynccontextmanager
async def open_live(settings: Settings) -> AsyncIterator[LiveAgreement]:
    """Live agreement over the store of `settings`; it needs neither embedder nor model."""
    from triage.insights.live_agreement import LiveAgreement

    async with open_store(settings) as (store, taxonomy):
        yield LiveAgreement(store, taxonomy, live_options(settings))


async def prepare_store(settings: Settings) -> Store:
    """The store, with its tables migrated to this version.

    Raises `MisconfiguredService` for wrong encryption keys, or a data folder that can't be used.
    """
    from triage.store import Store, upgrade

    make_data_folder(settings)
    await upgrade(settings.sql_url)
    store = Store(settings.sql_url, build_cipher(settings))
    try:
        await store.check_keys()
    except BaseException:
        await store.close()
        raise
    return store


def make_data_folder(settings: Settings) -> None:
    """Create the data folder, for its owner only. Raises `MisconfiguredService` if it can't be created or written."""
    folder = settings.data_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK | os.X_OK) else "not writable by this user"
    except FileExistsError:
        reason = "a file is in its place"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if reason:
        raise MisconfiguredService(
            f"The data folder {folder} can't be used ({reason}): set TRIAGE_DATA_DIR to a folder that can be written.",
            setting="data_dir",
        )


def build_cipher(settings: Settings) -> Cipher:
    """What encrypts texts at rest, with the keys of the settings."""
    from triage.store.encryption import Cipher

    return Cipher.parse(settings.encryption_keys.get_secret_value() if settings.encryption_keys else None)


def build_definition_reader(settings: Settings, embedder: Embedder, taxonomy: Taxonomy) -> DefinitionReader:
    """A definition reader for `taxonomy` that stores its vectors in the data folder."""
    from triage.pipeline.classification.likeness import DefinitionReader

    return DefinitionReader(embedder, taxonomy, settings.data_dir / "definitions")


def build_notifier(settings: Settings, store: Store, taxonomy: Taxonomy) -> Notifier:
    """The notifier of subscribers in `store`. The caller starts and stops it."""
    from triage.server.notifications import Courier, Notifier, NotifierOptions

    options = NotifierOptions(public_url=settings.public_url or "")
    courier = Courier(private=settings.private_webhooks)
    return Notifier(store, taxonomy=taxonomy, courier=courier, options=options)


def open_history(settings: Settings, embedder: Embedder, folder: Path | None) -> ChromaHistory:
    """The index of the history: in a Chroma server if one is set, else in `folder`, or in memory if that is None."""
    from triage.history.chroma import ChromaHistory

    if settings.chroma_url:
        return ChromaHistory.connect(settings.chroma_url, embedder.fingerprint, ranking=ranking(settings))
    return ChromaHistory.open(folder, embedder.fingerprint, ranking=ranking(settings))


def ranking(settings: Settings) -> Ranking:
    from triage.history.retrieval import DEFAULT_RANKING

    return DEFAULT_RANKING._replace(half_life_days=settings.half_life_days)


def live_options(settings: Settings) -> LiveOptions:
    """The window, gate and refresh time of live agreement."""
    from triage.insights.live_agreement import LiveOptions

    return LiveOptions(
        days=settings.live_window_days,
        cases=settings.live_window_cases,
        gate=settings.live_kappa_gate,
        refresh_s=settings.live_refresh_s,
    )


async def _load_shipped_history(records: Records, settings: Settings, progress: Progress) -> None:
    from triage.domain.principal import SHARED_TEAM
    from triage.evaluation.datasets import shipped_history

    store = records.store
    if settings.shipped_history and settings.taxonomy == "llm_inference" and not await store.gold.exists():
        # If several processes start together, one loads the history and the others find it loaded.
        async with store.lock("shipped-history"):
            await records.casebook.import_history(
                [] if await store.gold.exists() else shipped_history(),
                annotator="llm_incidents",
                origin="derived",
                progress=lambda _, done, total: progress("Loading the shipped history", done, total),
                team=SHARED_TEAM,
            )
