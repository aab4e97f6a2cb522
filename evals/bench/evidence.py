"""Whether the sentence shown as evidence is the one that people name as the cause (Azure reviews, ICPE 2026 study).

    python evals/bench/evidence.py --data cloud_reports_azure.dev.jsonl

The labelled `root_cause_text` was copied from the report by the study's authors. A sentence is a hit if most of its
words, or most of theirs, stand in the other; beside it the first sentence, and a sentence drawn at random.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from pathlib import Path

import numpy as np

from triage.domain.errors import TriageError
from triage.domain.taxonomy import Taxonomy
from triage.history import Example
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.classification.likeness import DefinitionReader
from triage.pipeline.classification.sentences import Sentence, split
from triage.redaction import Redactor

FACET = "root_cause"


def is_hit(sentence: str, cause: str) -> bool:
    """Whether over half of the shorter one's words stand in the other."""
    one, other = (set(re.findall(r"\w+", text.casefold())) for text in (sentence, cause))
    return len(one & other) > min(len(one), len(other)) / 2 and min(len(one), len(other)) >= 4


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    taxonomy = Taxonomy.load("cloud_reports")
    reader, redactor = DefinitionReader(MiniLM(), taxonomy), Redactor()
    rows = [json.loads(line) for line in options.data.read_text(encoding="utf-8").splitlines()]
    told = [row for row in rows if str(row["labels"].get("root_cause_text") or "").upper() not in ("", "UNKNOWN")]
    texts = {row["id"]: redactor.redact(row["text"]).text for row in rows}
    hits: dict[str, list[float]] = {"evidence for the gold label": [], "first sentence": [], "any sentence": []}
    for row in told:
        cause = row["labels"]["root_cause_text"]
        try:
            label = taxonomy.facet(FACET).label(row["labels"][FACET]).id
        except TriageError:
            continue
        sentences = split(texts[row["id"]])
        others = [Example(key, text, np.zeros(1), {}) for key, text in texts.items() if key != row["id"]]
        likeness = await reader.read(sentences, others)
        found: Sentence | None = likeness.evidence(FACET, label)
        hits["evidence for the gold label"].append(bool(found) and is_hit(found.text, cause) if found else 0.0)
        hits["first sentence"].append(is_hit(sentences[0].text, cause))
        hits["any sentence"].append(float(np.mean([is_hit(s.text, cause) for s in sentences])))
    print("| shown | n | names the cause |\n| --- | --- | --- |")
    for name, values in hits.items():
        print(f"| {name} | {len(values)} | {np.mean(values):.2f} |")


if __name__ == "__main__":
    asyncio.run(main())
