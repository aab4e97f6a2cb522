"""Distinct write-ups of varied length, as many as wanted: sentences of several shipped ones, with numbers changed.

None is a near-duplicate of a shipped one, as incidents that are new to a history are not: for each near-duplicate the
classifiers on the history are trained anew without it, which takes some 250 ms of CPU on the shipped history.
"""

from __future__ import annotations

import random
import re

from triage.evaluation.datasets import shipped_history


class WriteUps:
    """Write-ups by number; the same for the same seed."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._texts = [
            (incident.title, [s for s in re.split(r"(?<=[.!?])\s+", incident.write_up) if s])
            for incident, _ in shipped_history()
        ]

    def make(self, n: int) -> dict[str, str]:
        """The body of a post: one to three sentences of each of three to six incidents."""
        rng = random.Random(f"{self._seed} {n}")
        told = rng.sample(self._texts, k=rng.randint(3, 6))
        title = told[0][0]
        chosen = [s for _, sentences in told for s in rng.sample(sentences, k=min(len(sentences), rng.randint(1, 3)))]
        text = re.sub(r"\d+", lambda found: str(rng.randint(1, 10 ** len(found[0]))), " ".join(chosen))
        return {"title": f"{title} ({rng.randint(1, 10**6)})", "write_up": f"{text} Ticket {self._seed}-{n}."}
