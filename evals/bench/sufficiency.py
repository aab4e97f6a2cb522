"""From how many words on the kind of an incident can be told: the fit of `classification/sufficiency.py`.

    python evals/bench/sufficiency.py --data llm_reference.dev.jsonl

Write-ups of the reference set that tell their cause are read as their title alone, as their first words, and whole. The
classifier on cues and the embedding, trained on the shipped history without the incidents of the tested eighth,
answers. Accuracy by the number of different words, with and without a cue.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from triage.agreement.proportion import Proportion
from triage.domain.lines import clean_text
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import shipped_history
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.classification.cues import cues_of, has_cue
from triage.pipeline.classification.linear_models import CueModel
from triage.pipeline.classification.sufficiency import count_words, is_too_little
from triage.redaction import Redactor

FACETS = ("category", "failure_mode")
PARTS = 8
FIRST_WORDS = (2, 3, 5, 8, 12, 20, 40)
BINS = (0, 3, 5, 7, 10, 15, 30, 10_000)


def shortened(text: str) -> list[str]:
    """The text as it is, its title, its first words, and the first words after the title."""
    title, _, body = text.partition("\n")
    starts = [" ".join(part.split()[:count]) for part in (text, body) for count in FIRST_WORDS]
    return [text, title, *(start for start in starts if start)]


def accuracy(hits: Sequence[bool]) -> str:
    found = Proportion(hits=sum(hits), n=len(hits))
    low, high = found.interval or (0.0, 0.0)
    return f"{np.mean(hits):.2f} [{low:.2f}, {high:.2f}] (n={len(hits)})" if hits else "-"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    rows = [json.loads(line) for line in parser.parse_args().data.read_text(encoding="utf-8").splitlines()]
    taxonomy, redactor, embedder = Taxonomy.load("llm_inference"), Redactor(), MiniLM()
    history = shipped_history()
    texts = [clean_text(redactor.redact(incident.text).text) for incident, _ in history]
    vectors = await embedder.embed(texts)
    told = [row for row in rows if row["cause_told"]]
    part_of = np.random.default_rng(0).permutation(len(told)) % PARTS
    read = [shortened(clean_text(redactor.redact(f"{row['title'] or ''}\n{row['text']}").text)) for row in told]
    seen = [await embedder.embed(versions) for versions in read]
    for facet in FACETS:
        cues = cues_of(taxonomy, taxonomy.facet(facet))
        found: list[tuple[str, bool, bool]] = []
        for part in range(PARTS):
            tested = [n for n in range(len(told)) if part_of[n] == part and told[n]["labels"].get(facet)]
            model = trained(facet, cues, history, texts, vectors, {told[n]["url"] for n in tested})
            for n in tested:
                for place, said in enumerate(model.predict(read[n], seen[n])):
                    is_right = max(said, key=lambda label: said[label]) == told[n]["labels"][facet][0]
                    found.append((read[n][place], place == 1, is_right))
        gold = Counter(row["labels"][facet][0] for row in told if row["labels"].get(facet))
        print(f"\n{facet}: the most frequent label is right in {max(gold.values()) / gold.total():.2f}\n")
        print("| different words | without a cue | with one |\n| --- | --- | --- |")
        for low, high in itertools.pairwise(BINS):
            within = [(has_cue(cues, text), is_right) for text, _, is_right in found if low <= count_words(text) < high]
            print(
                f"| {low} to {high - 1} | "
                + " | ".join(accuracy([r for c, r in within if c is w]) for w in (False, True))
            )
        for name, titles in (("titles", True), ("all", False)):
            for little in (True, False):
                chosen = [
                    r for text, is_title, r in found if is_too_little(text, taxonomy) is little and is_title >= titles
                ]
                print(f"{name}, {'too little' if little else 'enough'}: {accuracy(chosen)}")
    print("\nwhole write-ups with too little:", sum(is_too_little(versions[0], taxonomy) for versions in read))


def trained(facet: str, cues: Any, history: Any, texts: Any, vectors: Any, without: set[str]) -> CueModel:
    """The classifier of the facet on the history without the incidents at these addresses."""
    labels = [(given.get(facet) or ("",))[0] for _, given in history]
    counts = Counter(labels)
    places = [n for n, label in enumerate(labels) if label and counts[label] > 1 and history[n][0].url not in without]
    gold = np.array([labels[n] for n in places], dtype=object)
    return CueModel.train(cues, [texts[n] for n in places], vectors[places], gold)


if __name__ == "__main__":
    asyncio.run(main())
