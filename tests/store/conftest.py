"""The tests of the store run on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from triage.store import upgrade


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("new_database")()
    await upgrade(url)
    return url
