from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import httpx

from tests.parts import KeywordPipeline

PHRASE = "zyzzyva-marker-phrase"


def rows(database: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(database) as connection:
        return connection.execute(query).fetchall()


def everything(folder: Path) -> str:
    return "".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


def test_a_deleted_incident_leaves_a_line_in_the_audit_log_and_nothing_else(client: httpx.Client, folder: Path) -> None:
    write_up = f"The {PHRASE} switch lost its uplinks, and the network was gone. " * 50
    body = {"id": "gone", "title": "Zone", "write_up": write_up}
    posted = client.post("/v1/incidents", json=body, headers={"Prefer": "wait=20"})
    label = {"facet": "category", "labels": ["infrastructure"], "annotator": "ada", "is_gold": True}
    client.post("/v1/incidents/gone/annotations", json=label)
    assert posted.status_code == 200
    assert PHRASE in everything(folder)

    assert client.delete("/v1/incidents/gone").status_code == 204

    assert client.get("/v1/incidents/gone").status_code == 404
    assert client.delete("/v1/incidents/gone").status_code == 404
    assert client.post("/v1/search", json={"text": PHRASE, "k": 3}).json()["neighbours"] == []
    assert PHRASE not in everything(folder)
    assert rows(folder / "jobs.db", "SELECT workflow_uuid FROM workflow_status WHERE workflow_uuid = 'gone'") == []
    assert [row[:3] for row in rows(folder / "triage.db", "SELECT actor, action, incident_id, details FROM audit")] == [
        ("anonymous", "label.given", "gone"),
        ("anonymous", "incident.deleted", "gone"),
    ]


def test_an_incident_that_is_deleted_while_it_is_triaged_does_not_come_back(
    client: httpx.Client, folder: Path, pipeline: KeywordPipeline
) -> None:
    client.post("/v1/incidents", json={"id": "running", "write_up": f"Slowly the {PHRASE} failed."})
    deadline = time.monotonic() + 10
    while "running" not in pipeline.seen and time.monotonic() < deadline:
        time.sleep(0.01)
    assert client.delete("/v1/incidents/running").status_code == 204
    time.sleep(1.5)

    assert client.get("/v1/incidents/running").status_code == 404
    assert pipeline.seen.count("running") == 1
    assert PHRASE not in everything(folder)
