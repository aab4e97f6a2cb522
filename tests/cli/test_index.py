"""`triage index` and `triage delete` as they are typed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.history.test_casebook import RECORDS, TAXONOMY
from triage.cli import app
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.models.embedding.onnx import MiniLM
from triage.redaction import Redactor
from triage.store import Store, upgrade

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with two incidents that were brought in by a command, so that no index has them yet."""
    monkeypatch.setenv("TRIAGE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TRIAGE_MODEL", "none")

    async def fill() -> None:
        url = f"sqlite:///{tmp_path / 'triage.db'}"
        await upgrade(url)
        store, history = Store(url), ChromaHistory.open(None, MiniLM.fingerprint)
        casebook = Casebook(store, history, Redactor(), MiniLM(), TAXONOMY)
        await casebook.import_history(RECORDS, "the project", "derived")
        history.close()
        await store.close()

    asyncio.run(fill())
    return tmp_path


def triage(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_an_index_is_compared_repaired_and_compared_again(folder: Path) -> None:
    differing = triage("index", "verify", "--json")
    repaired = triage("index", "repair", "--json")
    whole = triage("index", "verify", "--vectors", "--json")

    assert differing.exit_code == 1
    assert json.loads(differing.stdout)["missing"] == 2
    assert json.loads(repaired.stdout) == {"caught_up": 2, "mended": 0}
    assert whole.exit_code == 0
    assert json.loads(whole.stdout)["vectors"] == 2
    assert json.loads(triage("index", "rebuild", "--json").stdout) == {"history_size": 2}
    assert "The index is whole." in triage("index", "verify").stdout


def test_while_a_service_has_the_index_it_is_said_what_to_do(folder: Path) -> None:
    history = ChromaHistory.open(folder / "index", MiniLM.fingerprint)
    refused = triage("index", "verify")
    history.close()

    assert refused.exit_code != 0
    assert "stop it" in " ".join(refused.stderr.split())


def test_a_deletion_asks_first_and_tells_of_what_is_not_there(folder: Path) -> None:
    triage("index", "repair")
    asked = CliRunner().invoke(app, ["delete", "switch"], input="n\n")
    deleted = triage("delete", "switch", "nobody", "--yes", "--json")

    assert asked.exit_code == 1
    assert json.loads(deleted.stdout) == {"deleted": ["switch"], "unknown": ["nobody"]}
    assert deleted.exit_code == 1
    assert json.loads(triage("index", "verify", "--json").stdout)["surplus"] == 1
    assert json.loads(triage("index", "repair", "--json").stdout)["caught_up"] == 1
