from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.parts import HashingEmbedder, free_port
from triage.domain.annotation import Labels
from triage.domain.errors import MisconfiguredService
from triage.domain.incident import Incident
from triage.history.chroma import ChromaHistory

TEXTS = {
    "gpu": "The GPU nodes of one cluster lost power and every model on them stopped serving requests at once.",
    "queue": "Requests waited in the scheduler queue until they timed out because a batch never finished.",
    "cert": "The certificate of the gateway had expired overnight and clients refused to connect to it.",
}
LABELS: Labels = {"category": ("infrastructure",), "failure_mode": ("node", "network")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Chroma server over a real socket."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--host", "127.0.0.1", "--port", str(port)]
    folder = tmp_path_factory.mktemp("chroma")
    process = subprocess.Popen([*command, "--path", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/api/v2/heartbeat", timeout=1).raise_for_status()
            break
        except httpx.HTTPError:
            time.sleep(0.1)
    yield url
    process.kill()
    process.wait(10)


@pytest.fixture(params=["memory", "folder", "server"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChromaHistory]:
    name = HashingEmbedder.fingerprint
    if request.param == "server":
        history = ChromaHistory.connect(request.getfixturevalue("server"), f"{name}-{os.urandom(4).hex()}")
    else:
        history = ChromaHistory.open(tmp_path / "index" if request.param == "folder" else None, name)
    yield history
    history.close()


async def fill(history: ChromaHistory, texts: dict[str, str], labels: Labels = LABELS) -> None:
    vectors = await HashingEmbedder().embed(list(texts.values()))
    await history.remember(
        [(Incident(id=key, title=key, write_up=text), labels) for key, text in texts.items()], vectors
    )


async def find(history: ChromaHistory, text: str, k: int = 3, **options: object) -> list[str]:
    vector = (await HashingEmbedder().embed([text]))[0]
    return [n.incident_id for n in await history.neighbours(text, vector, k, **options)]  # type: ignore[arg-type]


async def test_the_most_similar_incident_comes_first_with_all_it_was_remembered_with(history: ChromaHistory) -> None:
    await fill(history, TEXTS)
    text = "Power was lost on GPU nodes of a cluster."
    vector = (await HashingEmbedder().embed([text]))[0]
    first, second, third = await history.neighbours(text, vector, 3)

    assert first.incident_id == "gpu"
    assert first.similarity >= second.similarity >= third.similarity
    assert first.labels == LABELS
    assert first.excerpt == TEXTS["gpu"]
    assert not first.is_near_duplicate


async def test_an_incident_is_found_under_its_new_labels_once_they_are_corrected(history: ChromaHistory) -> None:
    await fill(history, TEXTS)
    await fill(history, {"gpu": TEXTS["gpu"]}, {"category": ("operational",)})
    vector = (await HashingEmbedder().embed([TEXTS["gpu"]]))[0]

    assert (await history.neighbours("", vector, 1))[0].labels == {"category": ("operational",)}
    assert await history.size() == 3


async def test_excluded_incidents_are_never_found_however_many(history: ChromaHistory) -> None:
    copies = {f"c{n}": f"{TEXTS['gpu']} Copy {n}." for n in range(40)}
    await fill(history, TEXTS | copies)

    assert await find(history, TEXTS["gpu"], exclude=["gpu", *copies]) == await find(
        history, TEXTS["gpu"], exclude={"gpu", *copies}
    )
    assert set(await find(history, TEXTS["gpu"], exclude=["gpu", *copies])) == {"queue", "cert"}


async def test_near_duplicates_are_flagged_or_left_out_and_others_take_their_place(history: ChromaHistory) -> None:
    copies = {f"c{n}": f"{TEXTS['gpu']} Copy {n}." for n in range(30)}
    await fill(history, TEXTS | copies)
    vector = (await HashingEmbedder().embed([TEXTS["gpu"]]))[0]

    flagged = await history.neighbours(TEXTS["gpu"], vector, 3)
    assert all(neighbour.is_near_duplicate for neighbour in flagged)
    assert set(await find(history, TEXTS["gpu"], duplicates=False)) == {"queue", "cert"}


async def test_what_is_forgotten_is_not_found(history: ChromaHistory) -> None:
    await fill(history, TEXTS)
    await history.forget(["gpu", "never-there"])

    assert set(await history.entries(TEXTS)) == {"queue", "cert"}
    await history.clear()
    assert await history.size() == 0
    assert await find(history, "anything") == []


async def test_an_index_in_a_folder_is_there_after_it_was_closed(tmp_path: Path) -> None:
    history = ChromaHistory.open(tmp_path / "index", "f")
    await fill(history, TEXTS)
    history.close()
    again = ChromaHistory.open(tmp_path / "index", "f")

    assert set(await again.entries(TEXTS)) == set(TEXTS)
    again.close()


@pytest.mark.slow
async def test_a_damaged_index_is_set_aside_and_an_empty_one_takes_its_place(tmp_path: Path) -> None:
    history = ChromaHistory.open(tmp_path / "index", "f")
    await fill(history, TEXTS)
    history.close()
    (tmp_path / "index" / "chroma.sqlite3").write_bytes(b"not a database" * 100)
    again = ChromaHistory.open(tmp_path / "index", "f")

    assert await again.size() == 0
    assert any(name.startswith("index.damaged-") for name in os.listdir(tmp_path))
    again.close()


async def test_vectors_of_two_embedders_never_mix(tmp_path: Path) -> None:
    history = ChromaHistory.open(tmp_path / "index", "one")
    await fill(history, TEXTS)
    history.close()
    other = ChromaHistory.open(tmp_path / "index", "another")

    assert await other.size() == 0
    other.close()


@pytest.mark.slow
def test_a_second_process_is_told_that_the_index_is_in_use(tmp_path: Path) -> None:
    history = ChromaHistory.open(tmp_path / "index", "f")
    program = (
        "import sys, pathlib; from triage.history.chroma import ChromaHistory;"
        "ChromaHistory.open(pathlib.Path(sys.argv[1]), 'f')"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "index")]
    other = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert "Another process is using the index" in other.stderr
    history.close()


def test_a_server_that_is_not_there_is_told_of_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(MisconfiguredService, match="start it with `chroma run`"):
            ChromaHistory.connect(f"http://127.0.0.1:{taken.getsockname()[1]}", "f")
    with pytest.raises(MisconfiguredService, match="must look like"):
        ChromaHistory.connect("localhost", "f")
