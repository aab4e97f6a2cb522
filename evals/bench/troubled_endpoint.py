"""A provider in trouble: the fake server of the tests in a process of its own, with a seeded mix of failures.

    python -m evals.bench.troubled_endpoint --seed 1

It prints its base URL. Each line on its standard input is a command: `down`, `up` or `stats` (a line of JSON). What
becomes of a try depends on the conversation, the number of the try and the seed alone. It ends with its input.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from typing import Any

from tests.fake_openai import Answer, Behaviour, Body, Chosen, CutOff, FakeOpenAI, Refusal, Status

TROUBLE: tuple[tuple[str, float, Behaviour], ...] = (
    ("429", 0.20, Status(429, headers={"retry-after": "1"})),
    ("500", 0.05, Status(500)),
    ("hang", 0.02, Answer(delay_s=3_600.0)),
    ("cut", 0.02, CutOff()),
    ("malformed", 0.02, Body('{"choices": [{"message": ')),
    ("refusal", 0.01, Refusal()),
)
"""What goes wrong with which share of the tries."""


class Troubled:
    """Decides what becomes of each try, and counts it."""

    def __init__(self, seed: int, latency_s: float) -> None:
        self.is_down = False
        self.counts: Counter[str] = Counter()
        self._seed = seed
        self._latency_s = latency_s
        self._tries: Counter[bytes] = Counter()

    def choose(self, body: dict[str, Any]) -> Behaviour:
        if self.is_down:
            self.counts["while down"] += 1
            return Status(503)
        asked = hashlib.sha256(json.dumps(body["messages"]).encode()).digest()
        self._tries[asked] += 1
        drawn = hashlib.sha256(asked + f"{self._tries[asked]} {self._seed}".encode()).digest()
        chance = int.from_bytes(drawn[:8]) / 2**64
        for name, share, behaviour in TROUBLE:
            if chance < share:
                self.counts[name] += 1
                return behaviour
            chance -= share
        self.counts["well"] += 1
        return Answer(delay_s=self._latency_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that a good answer takes")
    options = parser.parse_args()
    troubled = Troubled(options.seed, options.latency)
    with FakeOpenAI() as fake:
        fake.otherwise = Chosen(troubled.choose)
        print(fake.base_url, flush=True)
        for line in sys.stdin:
            if line.strip() == "stats":
                print(json.dumps(troubled.counts), flush=True)
            else:
                troubled.is_down = line.strip() == "down"


if __name__ == "__main__":
    main()
