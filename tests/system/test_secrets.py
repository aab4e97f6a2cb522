from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.test_serving import serving
from tests.fake_openai import FakeOpenAI, Status

pytestmark = pytest.mark.slow

PASSWORD = "correct-horse-battery"
TOKEN = "ghp_" + "a1B2" * 9
PROVIDER_KEY = "provider-key-that-is-secret"
WRITE_UP = f"The network failed. We set the database password: {PASSWORD} and token {TOKEN} by hand."


def new_key(folder: Path) -> str:
    command = [str(Path(sys.executable).with_name("triage")), "keys", "create", "pager", "--scope", "admin"]
    environment = os.environ | {"TRIAGE_DATA_DIR": str(folder), "TRIAGE_MODEL": "none"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_a_service_that_others_reach_asks_for_keys_and_logs_no_secret_even_when_everything_fails(
    fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    fake_openai.otherwise = Status(401)
    settings = {
        "TRIAGE_HOST": "0.0.0.0",
        "TRIAGE_SHIPPED_HISTORY": "false",
        "TRIAGE_LOG_LEVEL": "debug",
        "OPENAI_API_KEY": PROVIDER_KEY,
    }
    with serving(tmp_path, fake_openai, **settings) as (_, client):
        assert client.post("/v1/incidents", content=WRITE_UP).status_code == 401
        assert client.get("/healthz", headers={"Host": "triage.example"}).status_code == 200
        # Made while the service runs, as its message says.
        assert "triage keys create NAME" in (tmp_path / "log.txt").read_text()
        key = new_key(tmp_path)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/plain", "Prefer": "wait=60"}
        degraded = client.post("/v1/incidents", content=WRITE_UP, headers=headers)
        assert (degraded.status_code, degraded.json()["degraded"]) == (200, True)
        wrong = client.get("/v1/incidents", headers={"X-API-Key": key[:-2] + "--"})
        assert wrong.status_code == 401

        with sqlite3.connect(tmp_path / "triage.db") as connection:
            connection.execute("ALTER TABLE incidents RENAME COLUMN write_up TO text")
        failed = [
            client.post("/v1/incidents", content=f"{WRITE_UP} Again.", headers=headers),
            client.get("/v1/incidents/x", headers={"X-API-Key": key}),
        ]
        assert [each.status_code for each in failed] == [500, 500]

    log = (tmp_path / "log.txt").read_text()
    assert "Traceback" in log
    assert "DEBUG" in log
    for secret in (key, key.split("_", 2)[2], PROVIDER_KEY, PASSWORD, TOKEN):
        assert secret not in log
        assert all(secret not in each.text for each in (*failed, wrong))
