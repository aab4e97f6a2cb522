"""`triage spending`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from triage.app.settings import Settings
from triage.cli import app
from triage.models.chat.budget import Taken
from triage.store import Store, upgrade


def test_it_shows_days_and_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAGE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TRIAGE_DAILY_TOKENS", "5000")

    async def spend() -> None:
        await upgrade(Settings().sql_url)
        store = Store(Settings().sql_url)
        await store.spending.add("2026-11-25", "big", Taken(2, 1_200, 34, 0.5), is_priced=True)
        await store.spending.add("2026-11-24", "small", Taken(1, 7, 3), is_priced=False)
        await store.close()

    asyncio.run(spend())
    shown = CliRunner().invoke(app, ["spending"])
    as_json = CliRunner().invoke(app, ["spending", "--json", "--days", "1"])

    assert shown.exit_code == 0
    assert all(word in shown.output for word in ("2026-11-24", "small", "1,200", "$0.5000", "5,000 tokens"))
    assert json.loads(as_json.output) == [
        {
            "day": "2026-11-25",
            "model": "big",
            "calls": 2,
            "prompt_tokens": 1_200,
            "completion_tokens": 34,
            "cost": 0.5,
        }
    ]
