"""`triage serve` as it is started by its users: a process with the real pipeline, its model behind a real socket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.conftest import embed_shipped
from tests.fake_openai import Answer, Chosen, FakeOpenAI, Status
from tests.parts import await_ready, free_port, outdated_calibrator
from tests.processes import Forked, run_triage, start_triage
from tests.templates import copy_template

WRITE_UP = "# Completions fail\n\nThe Redis cluster ran out of connections. We restarted it and all was well again."
INSTALLED = str(Path(sys.executable).with_name("triage"))
pytestmark = pytest.mark.slow


@contextmanager
def serving(
    folder: Path, fake: FakeOpenAI, *, is_installed: bool = False, **settings: str
) -> Iterator[tuple[subprocess.Popen[bytes] | Forked, httpx.Client]]:
    """`triage serve` and a client of it; the installed command, or the same forked."""
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRIAGE_", "OPENAI_"))}
    environment = kept | {
        "TRIAGE_DATA_DIR": str(folder),
        "TRIAGE_MODEL": "any-model",
        "TRIAGE_BASE_URL": fake.base_url,
        "OPENAI_API_KEY": "key",
        # The local embedder takes some seconds for the definitions at every start.
        "TRIAGE_EMBEDDING_MODEL": "any-embedder",
        "TRIAGE_EMBEDDING_BASE_URL": fake.base_url,
    }
    command = ["serve", "--port", str(port)]
    process: subprocess.Popen[bytes] | Forked
    if is_installed:
        with (folder / "log.txt").open("ab") as log:
            process = subprocess.Popen([INSTALLED, *command], env=environment | settings, stderr=log, cwd=folder)
    else:
        process = start_triage(command, environment=environment | settings, folder=folder, stderr=folder / "log.txt")
    try:
        await_ready(f"http://127.0.0.1:{port}", timeout_s=90)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=150) as client:
            yield process, client
    finally:
        process.kill()
        process.wait(10)


def provisional_of(client: httpx.Client, location: str) -> dict[str, Any]:
    """The provisional triage of an incident, once it is there."""
    deadline = time.monotonic() + 60
    while not (found := client.get(f"{location}/triage").json()["provisional"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return dict(found)


def post(client: httpx.Client, text: str = WRITE_UP, wait_s: int = 110) -> httpx.Response:
    headers = {"content-type": "text/markdown", "prefer": f"wait={wait_s}"}
    return client.post("/v1/incidents", content=text, headers=headers)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        fake.prefer = ("inference_engine", "resource_exhaustion", "restart")
        fake.words = "ran out of connections"
        yield fake


@pytest.fixture(scope="module")
def client(endpoint: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of one service with the local embedder and the shipped history; it ends well on Ctrl-C."""
    folder = tmp_path_factory.mktemp("served") / "data"
    copy_template("shipped", embed_shipped, tmp_path_factory.getbasetemp(), folder)
    with serving(folder, endpoint, is_installed=True, TRIAGE_EMBEDDING_MODEL="local") as (process, client):
        yield client
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130)


def test_a_posted_write_up_comes_back_triaged(client: httpx.Client) -> None:
    posted = post(client)
    triage = posted.json()

    assert posted.status_code == 200
    assert triage["facets"]["category"]["labels"] == ["inference_engine"]
    assert triage["facets"]["category"]["evidence"][0]["quote"] == "ran out of connections"
    assert len(triage["neighbours"]) == 5
    assert triage["neighbours"][0]["url"].startswith("https://")
    assert triage["suggestions"]
    assert client.get(posted.headers["location"] + "/triage").json() == triage
    ready = client.get("/readyz").json()
    assert ready["is_ready"]
    assert "is reachable" in ready["checks"]["model"]["detail"]


def test_a_port_in_use_is_told_of_with_what_to_do(client: httpx.Client, tmp_path: Path) -> None:
    settings = {"TRIAGE_DATA_DIR": str(tmp_path), "TRIAGE_MODEL": "none", "TRIAGE_SHIPPED_HISTORY": "false"}
    command = ["serve", "--port", str(client.base_url.port)]
    other = run_triage(command, b"", os.environ | settings, tmp_path, timeout_s=120)

    assert other.returncode == 1
    assert "Choose another with --port" in " ".join(other.stderr.split())
    assert "Traceback" not in other.stderr


def test_a_provider_that_fails_gives_a_degraded_answer_and_not_an_error(
    client: httpx.Client, endpoint: FakeOpenAI
) -> None:
    endpoint.otherwise = Status(401)
    triage = post(client, f"{WRITE_UP} The key had been revoked.").json()
    endpoint.otherwise = Answer()

    assert triage["degraded"]
    assert "key" in triage["degraded_reason"]
    assert triage["facets"]["category"]["origin"] == "history"


def test_a_calibrator_that_no_longer_fits_is_logged_shown_and_said_in_every_answer(
    fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    outdated_calibrator(tmp_path)
    settings = {"TRIAGE_MODEL": "none", "TRIAGE_TAXONOMY": "cloud_faults", "TRIAGE_SHIPPED_HISTORY": "false"}
    with serving(tmp_path, fake_openai, **settings) as (_, client):
        triage = post(client).json()
        page = client.get("/settings").text

    warning = "It was fitted for taxonomy cloud_faults@0.0.1 (now cloud_faults@"
    assert [warning in each for each in triage["warnings"]] == [True]
    assert warning in page
    assert warning in (tmp_path / "log.txt").read_text()


def test_of_a_model_that_fails_on_the_way_the_answers_so_far_are_kept(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    fails = "Who or what first noticed the incident?"
    fake_openai.otherwise = Chosen(lambda body: Status(401) if fails in str(body["messages"]) else Answer())
    with serving(tmp_path, fake_openai, TRIAGE_SHIPPED_HISTORY="false", TRIAGE_ANSWERS="letters") as (_, client):
        triage = post(client).json()

    answered = [facet for facet, result in triage["facets"].items() if "model" in result["sources"]]
    assert answered == ["category", "failure_mode"]
    assert triage["degraded"]
    assert "any-model answered category, failure mode. The other labels come" in triage["degraded_reason"]
    assert triage["provenance"]["model_calls"] >= 2


def test_a_killed_service_triages_after_its_restart_what_it_had_accepted(
    fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    fake_openai.otherwise = Answer(delay_s=60)
    nothing_shipped = {"TRIAGE_SHIPPED_HISTORY": "false"}
    with serving(tmp_path, fake_openai, **nothing_shipped) as (process, client):
        posted = [post(client, f"{WRITE_UP} Ticket {n}.", wait_s=0) for n in range(5)]
        assert {answer.status_code for answer in posted} == {202}
        provisional = [provisional_of(client, answer.headers["location"]) for answer in posted]
        process.kill()

    fake_openai.otherwise = Answer()
    with serving(tmp_path, fake_openai, **nothing_shipped) as (_, client):
        deadline = time.monotonic() + 150
        waiting = {answer.headers["location"] for answer in posted}
        while waiting and time.monotonic() < deadline:
            waiting = {place for place in waiting if client.get(f"{place}/triage").status_code != 200}
            time.sleep(0.2)

        assert waiting == set()
        for before, answer in zip(provisional, posted, strict=True):
            after = client.get(f"{answer.headers['location']}/triage").json()
            assert (before["is_provisional"], after["is_provisional"]) == (True, False)
            assert after["provenance"]["model_calls"] == 1
        assert len(client.get("/v1/incidents", params={"status": "triaged"}).json()["incidents"]) == 5
