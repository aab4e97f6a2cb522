"""A store in SQLite. Where a folder or module has its own `url`, the store is in that database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from triage.store import Store, upgrade


@pytest.fixture
async def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    await upgrade(url)
    return url


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = Store(url)
    yield store
    await store.close()
