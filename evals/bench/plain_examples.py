"""The plain way to use a history: the chat model is shown the five nearest labelled incidents, and its answer is taken.

    TRIAGE_MODEL=local python evals/bench/plain_examples.py evals/suites/cloud_faults.yaml --data FILE --limit 80

No prior is divided out, no other source joins in, nothing is calibrated. The examples of a case are the nearest ones
of the other folds by cosine, copies of it left out. Answers are kept in --out and not asked for twice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triage.agreement import cohen_kappa
from triage.app.settings import Settings
from triage.app.wiring.models import LOCAL_DEADLINE_S, LOCAL_WRITE_UP_CHARACTERS, open_model
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation import Case, Suite
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.classification import Subject, whole
from triage.pipeline.classification.letters import LetterClassifier
from triage.pipeline.classification.sentences import Sentence, condense, split
from triage.redaction import Redactor

EXAMPLES = 5
EXCERPT = 300


def nearest(index: int, cases: Sequence[Case], vectors: NDArray[np.float32], folds: Mapping[str, int]) -> list[Case]:
    """The cases of other folds nearest to one, farthest first: the last example before the write-up weighs most."""
    mine = cases[index]
    order = np.argsort(-(vectors @ vectors[index]))
    others = [cases[i] for i in order if folds[cases[i].id] != folds[mine.id] and cases[i].group != mine.group]
    return others[:EXAMPLES][::-1]


def shown(case: Case, examples: Sequence[Case], facet: Facet, redactor: Redactor) -> Subject:
    """The examples with their labels, then the write-up, all as sentences of one text."""
    lines = ["Incidents that were labelled before:"]
    for example in examples:
        told = " ".join(redactor.redact(example.incident.text).text.split())[:EXCERPT]
        lines.append(f"- {told} -> {facet.label(example.gold[facet.id][0]).name}")
    lines.append("The incident to label:")
    sentences = condense(split(redactor.redact(case.incident.text).text), LOCAL_WRITE_UP_CHARACTERS)
    return Subject(sentences=(*(Sentence(start=0, text=line) for line in lines), *sentences))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path)
    parser.add_argument("--data", type=Path, help="the data file, where the suite has none of its own")
    parser.add_argument("--limit", type=int, help="a seeded sample of so many cases")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the answers")
    options = parser.parse_args()
    suite = Suite.load(options.suite).model_copy(update={"limit": options.limit})
    taxonomy = Taxonomy.load(suite.taxonomy)
    cases = suite.load_data(taxonomy, options.data).cases
    folds = suite.folds_of(cases) or {}
    redactor = Redactor()
    vectors = np.concatenate([await MiniLM().embed([case.incident.text]) for case in cases])
    path = options.out / f"plain-{suite.name}.json"
    answers: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}
    chosen = {case.id for case in suite.sample(cases)}
    async with open_model(Settings()) as model:
        if model is None:
            parser.error("no chat model is set: TRIAGE_MODEL=local")
        classifier = LetterClassifier(model, deadline_s=LOCAL_DEADLINE_S)
        for name in suite.facets:
            facet = taxonomy.facet(name)
            alone = taxonomy.model_copy(update={"facets": (facet.model_copy(update={"triage": True}),)})
            labelled = [case for case in cases if case.gold.get(name)]
            positions = [n for n, case in enumerate(cases) if case.gold.get(name)]
            said = answers.setdefault(name, {})
            for index, case in enumerate(labelled):
                if case.id in chosen and case.id not in said:
                    examples = nearest(index, labelled, vectors[positions], folds)
                    result = await whole(classifier.classify(shown(case, examples, facet, redactor), alone))
                    said[case.id] = next(iter(result.answers[name].distribution))
                    path.write_text(json.dumps(answers, indent=1))
                    print(f"\r{name}: {len(said)}", end="", file=sys.stderr, flush=True)
            pairs = [(case.gold[name][0], said[case.id]) for case in labelled if case.id in said]
            kappa = cohen_kappa([gold for gold, _ in pairs], [label for _, label in pairs])
            print(f"{suite.name} {name}: kappa {kappa}, n={len(pairs)}, model {model.name}, {EXAMPLES} examples")


if __name__ == "__main__":
    asyncio.run(main())
