from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.parts import await_ready, free_port
from tests.processes import Forked
from tests.server.api import service_process


def start(folder: Path, slow_s: float) -> tuple[Forked, str]:
    port = free_port()
    process = Forked(service_process.main, folder, port, slow_s)
    url = f"http://127.0.0.1:{port}"
    await_ready(url)
    return process, url


@pytest.mark.slow
def test_accepted_incidents_survive_a_kill_and_are_triaged_once_after_the_restart(tmp_path: Path) -> None:
    process, url = start(tmp_path, slow_s=0.5)
    with httpx.Client(base_url=url) as client:
        for n in range(12):
            posted = client.post("/v1/incidents", json={"id": f"i{n}", "write_up": f"The network failed slowly, {n}."})
            assert posted.status_code == 202
        done_before = wait_for_some(client, 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    begun_before = Counter((tmp_path / "begun").read_text().split())

    process, url = start(tmp_path, slow_s=0)
    try:
        with httpx.Client(base_url=url) as client:
            for n in range(12):
                triage = client.get(f"/v1/incidents/i{n}/triage", headers={"Prefer": "wait=30"})
                assert triage.status_code == 200
                assert triage.json()["facets"]["category"]["labels"] == ["infrastructure"]
            assert client.get("/v1/incidents", params={"status": "pending"}).json()["incidents"] == []
    finally:
        process.terminate()
        process.wait(20)

    begun = Counter((tmp_path / "begun").read_text().split())
    assert 2 <= len(done_before) < 12
    assert set(begun) == {f"i{n}" for n in range(12)}
    # What was finished is not begun again, what was cut off is begun once more, the rest once.
    for incident_id, times in begun.items():
        assert times <= (1 if incident_id in done_before or incident_id not in begun_before else 2)


def wait_for_some(client: httpx.Client, wanted: int) -> set[str]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        triaged = client.get("/v1/incidents", params={"status": "triaged"}).json()["incidents"]
        if len(triaged) >= wanted:
            return {incident["id"] for incident in triaged}
        time.sleep(0.05)
    raise TimeoutError
