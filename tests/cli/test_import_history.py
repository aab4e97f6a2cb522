"""`triage import` of what does not fit into one portion: mistakes by line, and going on after a kill."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from tests.processes import Forked, start_triage
from triage.store import Store

pytestmark = pytest.mark.slow


def command(folder: Path, *arguments: str) -> Forked:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TRIAGE_")}
    settings = {"TRIAGE_DATA_DIR": str(folder / "data"), "TRIAGE_SHIPPED_HISTORY": "false"}
    return start_triage(["import", *arguments], environment=kept | settings, folder=folder)


def write(file: Path, count: int) -> None:
    rows = (
        {"id": f"i-{n}", "write_up": f"Switch {n} lost its uplinks.", "labels": {"category": "infrastructure"}}
        for n in range(count)
    )
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")


def stored(folder: Path) -> int:
    async def count() -> int:
        store = Store(f"sqlite:///{folder / 'data' / 'triage.db'}")
        try:
            return await store.gold.count()
        except SQLAlchemyError:  # the tables are not there yet
            return 0
        finally:
            await store.close()

    return asyncio.run(count()) if (folder / "data" / "triage.db").exists() else 0


def test_an_import_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    write(tmp_path / "h.jsonl", 300)
    first = command(tmp_path, "h.jsonl", "--team", "payments")
    deadline = time.monotonic() + 120
    while not (before := stored(tmp_path)) and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    first.kill()
    first.communicate()
    assert 0 < before < 300

    out, error = command(tmp_path, "h.jsonl", "--team", "payments", "--json").communicate(timeout=120)

    assert json.loads(out) == {
        "imported": 300,
        "skipped": 0,
        "unlabelled": 0,
        "repeated": 0,
        "unused": [],
        "history_size": 300,
    }, error


def test_a_bad_line_is_named_and_can_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "h.jsonl", 2)
    with (tmp_path / "h.jsonl").open("a") as file:
        file.write('{"id": "z", "write_up": "Not labelled yet.", "labels": {}}\n')
        file.write('{"id": "x", "write_up": "y", "labels": {"category": "weather"}}\nnot json\n')
    refused = command(tmp_path, "h.jsonl")
    error = " ".join(refused.communicate(timeout=120)[1].split())
    out, _ = command(tmp_path, "h.jsonl", "--skip-bad", "--json").communicate(timeout=120)

    assert refused.returncode == 2
    assert "line 4, field labels.category" in error
    assert "line 5: is not JSON" in error
    assert json.loads(out) == {
        "imported": 2,
        "skipped": 2,
        "unlabelled": 1,
        "repeated": 0,
        "unused": [],
        "history_size": 2,
    }
