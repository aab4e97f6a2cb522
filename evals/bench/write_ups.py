"""Distinct write-ups of varied length, as many as wanted: the shipped ones with sentences mixed and numbers changed."""

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
        """The body of a post: sentences of one incident, at times with some of a second, in another order."""
        rng = random.Random(f"{self._seed} {n}")
        title, sentences = rng.choice(self._texts)
        chosen = rng.sample(sentences, k=rng.randint(max(1, len(sentences) // 2), len(sentences)))
        if rng.random() < 0.4:
            more = rng.choice(self._texts)[1]
            chosen += rng.sample(more, k=rng.randint(1, len(more)))
        text = re.sub(r"\d+", lambda found: str(rng.randint(1, 10 ** len(found[0]))), " ".join(chosen))
        return {"title": f"{title} ({rng.randint(1, 10**6)})", "write_up": f"{text} Ticket {self._seed}-{n}."}
