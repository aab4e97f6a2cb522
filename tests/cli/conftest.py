from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_openai import FakeOpenAI
from tests.processes import run_triage
from tests.templates import copy_template

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose database holds the shipped history, as the local embedder embedded it."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    copy_template("shipped", embed_shipped, tmp_path_factory.getbasetemp(), folder)
    return folder


def embed_shipped(folder: Path) -> None:
    """Have a command bring the shipped history into a data folder, with the vectors of the definitions."""
    done = run_triage(["classify"], b"A switch failed.", environment() | {"TRIAGE_DATA_DIR": str(folder)}, folder)
    assert done.returncode == 0, done.stderr


def environment() -> dict[str, str]:
    """The environment without what would change a command, and with no model."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRIAGE_", "OPENAI_", "COLUMNS"))}
    return kept | {"TRIAGE_MODEL": "none", "NO_COLOR": "1"}


@pytest.fixture
def triage(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs the command as a user would: a process of its own, no model unless a test sets one."""

    def run(*arguments: str, stdin: str | bytes = "", **settings: str) -> subprocess.CompletedProcess[str]:
        if "TRIAGE_DATA_DIR" not in settings:
            settings["TRIAGE_DATA_DIR"] = str(request.getfixturevalue("shared_data"))
        given = stdin if isinstance(stdin, bytes) else stdin.encode()
        return run_triage(arguments, given, environment() | settings, tmp_path)

    return run


@pytest.fixture
def endpoint(fake_openai: FakeOpenAI) -> dict[str, str]:
    """Settings that point to a model behind a real socket."""
    fake_openai.prefer = ("inference_engine", "resource_exhaustion", "restart", "text_generation", "automated")
    fake_openai.words = "ran out of connections"
    return {"TRIAGE_MODEL": "any-model", "TRIAGE_BASE_URL": fake_openai.base_url, "OPENAI_API_KEY": "key"}


@pytest.fixture
def endpoints(endpoint: dict[str, str], fake_openai: FakeOpenAI, tmp_path: Path) -> dict[str, str]:
    """The same with an embedder there too, which is quicker than the local one, and a data folder for its vectors."""
    embedder = {"TRIAGE_EMBEDDING_MODEL": "any-embedder", "TRIAGE_EMBEDDING_BASE_URL": fake_openai.base_url}
    return endpoint | embedder | {"TRIAGE_DATA_DIR": str(tmp_path / "embedded")}
