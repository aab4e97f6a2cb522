"""The release before and this version at work on one PostgreSQL at the same time, as in an upgrade without downtime."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, make_url, text

from tests.fake_openai import FakeOpenAI
from tests.parts import await_ready, free_port
from tests.processes import Forked, start_triage
from triage.store.migrations import known_revisions

RELEASE = "1c87fe9"
"""The last commit of 0.1.0."""

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of the release before, in a folder of its own."""
    archive = subprocess.run(["git", "archive", RELEASE], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"{RELEASE}, the release before, is not in this clone's history (a shallow one, or no clone)")
    folder = tmp_path_factory.mktemp("release")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


@contextmanager
def serving(
    source: Path, folder: Path, database: str, fake: FakeOpenAI
) -> Iterator[tuple[subprocess.Popen[bytes] | Forked, httpx.Client]]:
    """`triage serve` of this source, without a chat model and with embeddings from `fake`; yields it with a client."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRIAGE_", "OPENAI_", "PYTHONPATH"))}
    settings = {
        "PYTHONPATH": str(source),
        "TRIAGE_DATA_DIR": str(folder),
        "TRIAGE_DATABASE_URL": database,
        "TRIAGE_MODEL": "none",
        "TRIAGE_SHIPPED_HISTORY": "false",
        "TRIAGE_EMBEDDING_MODEL": "any",
        "TRIAGE_EMBEDDING_BASE_URL": fake.base_url,
        "OPENAI_API_KEY": "key",
    }
    command = ["serve", "--port", str(port)]
    process: subprocess.Popen[bytes] | Forked
    if source == ROOT:
        process = start_triage(command, environment=kept | settings, folder=folder, stderr=folder / "log.txt")
    else:
        program = [sys.executable, "-c", "from triage.cli import main; main()", *command]
        with (folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(program, env=kept | settings, stderr=log, cwd=folder)
    try:
        await_ready(f"http://127.0.0.1:{port}", timeout_s=120)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield process, client
    finally:
        process.kill()
        process.wait(10)


def post(client: httpx.Client, prefix: str, count: int) -> list[str]:
    ids = [f"{prefix}-{n}" for n in range(count)]
    for key in ids:
        write_up = f"A network switch of rack {key} failed and pods lost their connections."
        posted = client.post("/v1/incidents", json={"id": key, "write_up": write_up})
        # 200 where it was triaged before the answer was made.
        assert posted.status_code in {200, 202}, posted.text
    return ids


def query(database: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(make_url(database).set(drivername="postgresql+psycopg"))
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]
    finally:
        engine.dispose()


def until_triaged(database: str, ids: list[str], timeout_s: float = 90) -> None:
    """Wait for all of them; then each has exactly one triage."""
    deadline = time.monotonic() + timeout_s
    while True:
        status = dict(query(database, "SELECT id, status FROM incidents WHERE status <> 'imported'"))
        if set(status) >= set(ids) and all(status[key] == "triaged" for key in ids):
            break
        assert time.monotonic() < deadline, f"After {timeout_s} s: {Counter(status.values())}"
        time.sleep(0.2)
    triages = Counter(str(row[0]) for row in query(database, "SELECT incident_id FROM triages"))
    assert triages == dict.fromkeys(ids, 1)


def test_the_release_before_goes_on_while_this_version_upgrades_the_database_beside_it(
    release: Path, new_database: Callable[[], str], fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    database = new_database()
    with serving(release, tmp_path / "older", database, fake_openai) as (older_process, older):
        ids = post(older, "before", 3)
        assert query(database, "SELECT version_num FROM alembic_version") == [("0002",)]

        with serving(ROOT, tmp_path / "newer", database, fake_openai) as (_, newer):
            assert query(database, "SELECT version_num FROM alembic_version") == [(known_revisions()[-1],)]
            for round_ in range(3):
                ids += post(newer, f"newer-{round_}", 2)
                ids += post(older, f"older-{round_}", 2)
            until_triaged(database, ids)
            # Each answers for what the other took in.
            for client in (older, newer):
                assert client.get("/readyz").status_code == 200
                for key in ids:
                    triage = client.get(f"/v1/incidents/{key}/triage")
                    assert triage.status_code == 200, (key, triage.text)
                    assert triage.json()["incident_id"] == key

            # The last older process goes, in the middle of its work.
            ids += post(older, "last", 4)
            older_process.send_signal(signal.SIGKILL)
            older_process.wait(10)
            ids += post(newer, "after", 2)

        # What it had begun is taken up by the next process that starts.
        with serving(ROOT, tmp_path / "newer", database, fake_openai):
            until_triaged(database, ids)
