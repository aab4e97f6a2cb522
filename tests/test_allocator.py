"""What threads allocate stays together, seen in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

ALLOCATE = """
import threading
from triage.allocator import keep_together

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


def arenas(told: str) -> int:
    command = [sys.executable, "-c", ALLOCATE.format(told=told)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is that of Linux")
def test_threads_share_few_arenas() -> None:
    if arenas("") < 4:
        pytest.skip("the C library here keeps no arenas")
    assert arenas("keep_together(2)") <= 2
