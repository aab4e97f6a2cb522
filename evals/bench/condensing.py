"""Whether a write-up that is condensed to a model's budget keeps the sentence that people name as the cause.

    python evals/bench/condensing.py --data cloud_reports_azure.dev.jsonl

The labelled `root_cause_text` was copied from the report by the ICPE 2026 study's authors. Each way takes a third of
the budget for the head and fills the rest by rank: by words of cause and remedy, by nearness to the taxonomy's
phrases (less what is usual), by both, or from the end. Only reviews longer than the budget count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from triage.agreement.proportion import Proportion
from triage.domain.taxonomy import Taxonomy
from triage.history import Example
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.classification.likeness import DefinitionReader
from triage.pipeline.classification.sentences import Sentence, cause_words, condense, is_boilerplate, split
from triage.redaction import Redactor

from .evidence import FACET, is_hit

BUDGETS = (800, 1600, 3200)
PART = 60


async def nearness(reader: DefinitionReader, sentences: Sequence[Sentence], others: Sequence[Example]) -> list[float]:
    """How much more each sentence is like its closest label than sentences usually are."""
    found: list[float] = []
    for start in range(0, len(sentences), PART):
        part = sentences[start : start + PART]
        shares = (await reader.read(part, others)).shares.get(FACET, {})
        found += np.max(list(shares.values()), axis=0).tolist() if shares else [0.0] * len(part)
    return found


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    reader, redactor = DefinitionReader(MiniLM(), Taxonomy.load("cloud_reports")), Redactor()
    rows = [json.loads(line) for line in options.data.read_text(encoding="utf-8").splitlines()]
    texts = {row["id"]: redactor.redact(row["text"]).text for row in rows}
    kept: dict[tuple[int, str], list[bool]] = {}
    for row in rows:
        cause = str(row["labels"].get("root_cause_text") or "")
        sentences = [s for s in split(texts[row["id"]]) if s.text.strip()]
        if not any(is_hit(s.text, cause) for s in sentences):
            continue
        others = [Example(key, text, np.zeros(1), {}) for key, text in texts.items() if key != row["id"]]
        near = await nearness(reader, sentences, others)
        place = {s.start: n for n, s in enumerate(sentences)}
        plain = [0.0 if is_boilerplate(s.text) else near[n] for n, s in enumerate(sentences)]
        ways: dict[str, Callable[[Sentence], float]] = {
            "words of cause and remedy": lambda s: float(cause_words(s.text)),
            "nearness to the taxonomy": lambda s, p=place, v=plain: v[p[s.start]],
            "both (a word counts as 0.1)": lambda s, p=place, v=plain: v[p[s.start]] + 0.1 * cause_words(s.text),
            "the end": lambda s: float(s.start),
        }
        for budget in BUDGETS:
            if sum(len(s.text) for s in sentences) > budget:
                for name, worth in ways.items():
                    read = condense(sentences, budget, worth)
                    kept.setdefault((budget, name), []).append(any(is_hit(s.text, cause) for s in read))
    print("| characters | filled by | n | keeps the cause [95% interval] |\n| --- | --- | --- | --- |")
    for (budget, name), values in sorted(kept.items(), key=lambda item: item[0][0]):
        print(f"| {budget:,} | {name} | {len(values)} | {Proportion(hits=sum(values), n=len(values))} |")


if __name__ == "__main__":
    asyncio.run(main())
