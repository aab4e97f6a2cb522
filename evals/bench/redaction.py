"""What redaction finds of items planted in real write-ups, and what it takes out of these as they are.

    python -m evals.bench.redaction --data folder-or-file.jsonl
    python -m evals.bench.redaction --data file.jsonl --kinds all --each 50 --seed 1

An item counts as found only if none of its text is left anywhere in the redacted write-up. Items known by their shape
stand bare or in a sentence of any kind; those known by what is before them stand in the phrases of logs and of people.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from evals.bench.planted import PHRASES, PLACED, SENTENCES, SHAPED
from triage.agreement.proportion import Proportion
from triage.redaction import Redactor

KINDS = (
    "e-mail", "IPv4", "IPv6", "MAC", "phone", "card", "IBAN", "JWT", "private key", "AWS", "Azure", "GitHub", "Slack",
    "OpenAI", "Anthropic", "bearer", "userinfo", "connection string", "password", "API key",
)  # fmt: skip
"""The 20 kinds of the published figure."""


class Planted(NamedTuple):
    """A write-up that holds an item now: its place is the offset at which the phrase was put in."""

    kind: str
    item: str
    text: str
    place: int


def write_ups(path: Path) -> list[str]:
    """Title and text of every row of a JSON Lines file, or of all such files of a folder."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines() if line]
    return [f"{row.get('title') or ''}\n\n{row.get('text') or row.get('write_up')}".strip() for row in rows]


def plant(texts: Sequence[str], kinds: Sequence[str], each: int, seed: int) -> list[Planted]:
    """`each` items of every kind, each alone in a random write-up, between two of its words."""
    rng = random.Random(seed)
    planted = []
    for kind in kinds:
        make, phrases = PLACED[kind] if kind in PLACED else (SHAPED[kind], SENTENCES)
        phrases = (*phrases, *PHRASES.get(kind, ()))
        for n in range(each):
            item, text = make(rng), rng.choice(texts)
            places = [match.start() for match in re.finditer(r"\s", text)] or [len(text)]
            place = rng.choice(places)
            phrase = phrases[n % len(phrases)].format(item)
            planted.append(Planted(kind, item, f"{text[:place]} {phrase} {text[place:].lstrip()}", place))
    return planted


def is_found(redactor: Redactor, case: Planted) -> bool:
    """True if no piece of the item is left, its lines and halves included."""
    redacted = redactor.redact(case.text).text
    half = len(case.item) // 2
    pieces = {case.item, case.item[:half], case.item[half:]} if half >= 6 else {case.item}
    before = case.text.replace(case.item, "")
    return not any(piece in redacted and piece not in before for piece in pieces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a JSON Lines file with `text`, or a folder of such")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), help="names of kinds, or `all`")
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="show what was missed, and what is taken out unplanted")
    options = parser.parse_args()
    kinds = [*SHAPED, *PLACED] if options.kinds == ["all"] else options.kinds
    texts, redactor = write_ups(options.data), Redactor()
    planted = plant(texts, kinds, options.each, options.seed)
    found = Counter(case.kind for case in planted if is_found(redactor, case))
    title = f"{len(planted)} items planted in {len(texts)} write-ups of {options.data.name}, seed {options.seed}"
    print(f"Redaction: {title}\n")
    print("| kind | planted | found | recall [95% interval] |\n| --- | --- | --- | --- |")
    for kind in kinds:
        print(f"| {kind} | {options.each} | {found[kind]} | {Proportion(hits=found[kind], n=options.each)} |")
    total = Proportion(hits=found.total(), n=len(planted))
    print(f"| **all** | {total.n} | {total.hits} | {total} |\n")
    show_unplanted(texts, redactor, is_shown=options.show)
    if options.show:
        for case in planted:
            if not is_found(redactor, case):
                print(f"missed {case.kind}: {case.text[case.place : case.place + len(case.item) + 60]!r}")


def show_unplanted(texts: Sequence[str], redactor: Redactor, *, is_shown: bool) -> None:
    """What is taken out of the write-ups as they are: true finds and false ones together."""
    counts, characters = Counter[str](), 0
    for text in texts:
        redacted = redactor.redact(text)
        counts.update(redacted.counts)
        characters += sum(r.original_end - r.original_start for r in redacted.replacements)
        if is_shown:
            for r in redacted.replacements:
                around = " ".join(text[max(0, r.original_start - 30) : r.original_end + 10].split())
                print(f"{redacted.text[r.start : r.end]}: {around}")
    share = characters / sum(map(len, texts))
    kinds = ", ".join(f"{kind} {n}" for kind, n in counts.most_common()) or "none"
    print(f"Unplanted: {counts.total()} placeholders ({kinds}), {share:.4%} of {sum(map(len, texts)):,} characters")


if __name__ == "__main__":
    main()
