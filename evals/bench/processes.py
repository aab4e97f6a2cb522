"""CPU and memory of processes, as Linux counts them, sampled while something else runs."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
# A slope over less than this says nothing.
_SHORTEST_S = 60.0


class Sample(NamedTuple):
    """All processes together, at `at` (monotonic)."""

    at: float
    cpu_s: float
    rss_bytes: int


class Usage(NamedTuple):
    """What the processes took. The slope is a straight line through the second half of the samples."""

    cpu_s: float
    first_mib: float
    last_mib: float
    most_mib: float
    mib_per_hour: float | None


class Sampler:
    """Samples processes every `every_s` seconds, in a thread of its own, within a `with` block."""

    def __init__(self, pids: Sequence[int], every_s: float = 0.5) -> None:
        self._pids = pids
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def usage(self) -> Usage | None:
        """None where there was nothing to sample."""
        if not self.samples:
            return None
        mib = np.array([sample.rss_bytes for sample in self.samples]) / 2**20
        later = self.samples[len(self.samples) // 2 :]
        slope = None
        if later[-1].at - later[0].at > _SHORTEST_S:
            hours = np.array([sample.at - later[0].at for sample in later]) / 3600
            slope = float(np.polyfit(hours, mib[-len(later) :], 1)[0])
        cpu_s = self.samples[-1].cpu_s - self.samples[0].cpu_s
        return Usage(cpu_s, float(mib[0]), float(mib[-1]), float(mib.max()), slope)

    def _run(self) -> None:
        while True:
            taken = [found for pid in self._pids if (found := _taken(pid))]
            if taken:
                self.samples.append(Sample(time.monotonic(), sum(c for c, _ in taken), sum(r for _, r in taken)))
            if self._stopped.wait(self._every_s):
                return


def tree_cpu_s(pid: int) -> float:
    """CPU seconds of a process and all below it, with those that ended and were waited for."""
    children: dict[int, list[int]] = {}
    cpu_s: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
            cpu_s[int(path.parent.name)] = sum(map(int, fields[11:15])) / _TICKS
    tree = [pid]
    for each in tree:
        tree += children.get(each, [])
    return sum(cpu_s.get(each, 0.0) for each in tree)


def _taken(pid: int) -> tuple[float, int] | None:
    """CPU seconds and resident bytes of a process; None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS, int(fields[21]) * _PAGE
