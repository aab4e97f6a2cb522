"""A copy of a data set whose write-ups are wrapped like mail, to be scored beside the data set as it is.

python evals/bench/wrapped.py evals/datasets/llm_incidents/incidents.jsonl wrapped.jsonl
TRIAGE_MODEL=none triage eval run evals/suites/llm_incidents.yaml --data wrapped.jsonl
"""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path


def wrap(text: str, width: int) -> str:
    """Each line of `text` as lines of at most `width` characters; an empty line parts what were lines."""
    lines = (textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in text.split("\n"))
    return "\n\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=72)
    chosen = parser.parse_args()
    rows = [json.loads(line) for line in chosen.data.read_text(encoding="utf-8").splitlines()]
    wrapped = [row | {"write_up": wrap(row["write_up"], chosen.width)} for row in rows]
    chosen.out.write_text("".join(json.dumps(row) + "\n" for row in wrapped), encoding="utf-8")


if __name__ == "__main__":
    main()
