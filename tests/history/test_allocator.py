"""What threads allocate stays together, seen in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ALLOCATE = """
import threading
from triage.history.allocator import limit_arenas

{told}
barrier = threading.Barrier(30)

def work():
    barrier.wait()
    kept = [bytes(2_000) for _ in range(2_000)]
    barrier.wait()

threads = [threading.Thread(target=work) for _ in range(30)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
# An arena beside the first begins at a multiple of 64 MiB, in memory that is no file's.
lines = [line.split() for line in open("/proc/self/maps")]
begins = [int(line[0].partition("-")[0], 16) for line in lines if line[1] == "rw-p" and line[4] == "0"]
print(sum(begin % (64 << 20) == 0 for begin in begins))
"""


INDEX = """
import asyncio, pathlib, sys
from tests.parts import DIMENSION, HashingEmbedder
from triage.history import chroma_client
from triage.history.chroma import ChromaHistory
from triage.domain.incident import Incident

{told}
folder, embedder = pathlib.Path(sys.argv[1]), HashingEmbedder()
history = ChromaHistory.open(folder, embedder.fingerprint)
vectors = asyncio.run(embedder.embed(["A switch failed."]))
incident = Incident(id="a", write_up="A switch failed.")
asyncio.run(history.remember([(incident, {{"category": ("infrastructure",)}})], vectors))
history.close()
"""


FOUND = b"\xab"
"""What stood in all memory before it was given out."""


def arenas(told: str) -> int:
    command = [sys.executable, "-c", ALLOCATE.format(told=told)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


def index(folder: Path, told: str) -> bytes:
    """Everything in the files of a new index."""
    command = [sys.executable, "-c", INDEX.format(told=told), str(folder)]
    environment = os.environ | {"MALLOC_PERTURB_": str(FOUND[0] ^ 0xFF)}
    subprocess.run(command, check=True, timeout=60, env=environment)
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is that of Linux")
def test_threads_share_few_arenas() -> None:
    if arenas("") < 4:
        pytest.skip("the C library here keeps no arenas")
    assert arenas("limit_arenas(2)") <= 2


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is that of Linux")
def test_the_index_on_disk_holds_nothing_that_stood_in_memory_before(tmp_path: Path) -> None:
    if FOUND * 1_000 not in index(tmp_path / "unwiped", "chroma_client.clear_memory = lambda: None"):
        pytest.skip("the C library here does not fill memory")
    assert FOUND * 16 not in index(tmp_path / "wiped", "")
