"""Which processes are dead, and which work they left: pure thinking on what was seen, by this process's own clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from triage.server.jobs.workflows import Claimed

# Release 0.1 had no heartbeat: a process of it goes on until its work stood still.
_WITHOUT_HEARTBEAT = "embedded"
# A workflow that was just claimed, or has just ended, is at no work for a moment.
_LEAST_IDLE_S = 5.0


class Reaper:
    """Watches the heartbeats of other processes.

    A process is dead when its heartbeat is gone (it ended), or stood still for `dead_after_s` of looking. The clocks of
    other machines don't matter, and neither does a time in which nobody could look: while the database is away nobody's
    heart beats.
    """

    def __init__(self, own: str, dead_after_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._own = own
        self._dead_after_s = dead_after_s
        self._clock = clock
        self._beats: dict[str, tuple[datetime | None, float]] = {}
        self._idle: dict[str, float] = {}
        self._looked_at: float | None = None

    def orphans(
        self, claimed: Sequence[Claimed], beats: Mapping[str, datetime], own_runs: Collection[str]
    ) -> list[Claimed]:
        """Those of the `claimed` workflows that nobody works on. `beats` are the heartbeats by process.

        Of this process's own they are those that it has had for as long without being at work on them: the claim went
        through and the answer got lost.
        """
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at > self._dead_after_s / 2 > 0:
            self._beats.clear()
            self._idle.clear()
        self._looked_at = now
        watched = {each.executor for each in claimed} | set(beats)
        self._beats = {
            process: known
            if (known := self._beats.get(process)) and known[0] == beats.get(process)
            else (beats.get(process), now)
            for process in watched
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
        """Those of `processes` that are dead, as far as was seen at the last look."""
        return {each for each in processes if each in self._beats and self._is_dead(each)}

    def _is_dead(self, process: str) -> bool:
        beat, since = self._beats[process]
        return (beat is None and process != _WITHOUT_HEARTBEAT) or self._is_long_ago(since)

    def _is_long_ago(self, moment: float, least_s: float = 0.0) -> bool:
        return self._clock() - moment >= max(self._dead_after_s, least_s)
