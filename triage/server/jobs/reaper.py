"""Which processes are dead, and which workflows they left, by this process's own clock. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from triage.server.jobs.workflows import Claimed

# Processes of release 0.1 have no heartbeat: they count as alive until `dead_after_s` has passed.
_WITHOUT_HEARTBEAT = "embedded"
# A workflow that was just claimed or has just ended has no task for a moment.
_LEAST_IDLE_S = 5.0


class Reaper:
    """Watches the heartbeats of other processes.

    A process is dead if its heartbeat is gone (it ended) or did not change for `dead_after_s`. The clocks of other
    machines don't matter. Time without observations doesn't count: while the database is away, nobody can beat.
    """

    def __init__(self, own: str, dead_after_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._own = own
        self._dead_after_s = dead_after_s
        self._clock = clock
        self._beats: dict[str, tuple[datetime | None, float]] = {}
        self._idle: dict[str, float] = {}
        self._observed_at: float | None = None

    def orphans(
        self, claimed: Sequence[Claimed], beats: Mapping[str, datetime], own_runs: Collection[str]
    ) -> list[Claimed]:
        """The `claimed` workflows that nobody works on. `beats` are the heartbeats by process.

        A workflow claimed by this process is one if it had no task for as long: the claim succeeded, but the database's
        answer got lost.
        """
        now = self._clock()
        if self._observed_at is not None and now - self._observed_at > self._dead_after_s / 2 > 0:
            self._beats.clear()
            self._idle.clear()
        self._observed_at = now
        processes = {each.executor for each in claimed} | set(beats)
        self._beats = {
            process: known
            if (known := self._beats.get(process)) and known[0] == beats.get(process)
            else (beats.get(process), now)
            for process in processes
            if process != self._own
        }
        idle = {each.run_id for each in claimed if each.executor == self._own} - set(own_runs)
        self._idle = {run_id: self._idle.get(run_id, now) for run_id in idle}
        dead = self.dead(self._beats)
        return [
            each
            for each in claimed
            if each.executor in dead
            or (each.run_id in self._idle and self._is_long_ago(self._idle[each.run_id], _LEAST_IDLE_S))
        ]

    def dead(self, processes: Collection[str]) -> set[str]:
        """The dead ones among `processes`, by the last observation."""
        return {each for each in processes if each in self._beats and self._is_dead(each)}

    def _is_dead(self, process: str) -> bool:
        beat, since = self._beats[process]
        return (beat is None and process != _WITHOUT_HEARTBEAT) or self._is_long_ago(since)

    def _is_long_ago(self, moment: float, least_s: float = 0.0) -> bool:
        return self._clock() - moment >= max(self._dead_after_s, least_s)
