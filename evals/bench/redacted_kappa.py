"""Whether redaction costs agreement: classifiers on a suite's folds, on the texts as they are and as they are redacted.

    python -m evals.bench.redacted_kappa evals/suites/engine_issues.yaml --data FILE
    python -m evals.bench.redacted_kappa evals/suites/cloud_faults.yaml --data FILE --plant 5

With `--plant` that many secrets and personal items are put into every write-up first, so that there is something to
take out of each. The interval of the difference is that of a paired bootstrap over the cases.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from evals.bench.baselines import MODELS, embed, out_of_fold
from evals.bench.redaction import KINDS, plant
from triage.agreement import Interval, cohen_kappa
from triage.agreement.interval import RESAMPLES
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import Case, Suite
from triage.evaluation.suites import Folds
from triage.models.embedding.onnx import MiniLM
from triage.redaction import Redactor


def with_planted(case: Case, items: int) -> Case:
    """The case with `items` items of random kinds in its text, the same every time."""
    rng = random.Random(case.id)
    text = case.incident.text
    for kind in rng.choices(KINDS, k=items):
        text = plant([text], [kind], 1, rng.randrange(2**32))[0].text
    return _retold(case, text)


def redacted(case: Case, redactor: Redactor) -> Case:
    return _retold(case, redactor.redact(case.incident.text).text)


def difference(gold: Sequence[str], before: Sequence[str], after: Sequence[str], seed: int) -> tuple[float, str]:
    """Kappa after minus kappa before, and its 95% interval from resamples of the cases."""
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(gold), size=(RESAMPLES, len(gold)))
    found = [_difference(*([labels[i] for i in draw] for labels in (gold, before, after))) for draw in draws]
    return _difference(gold, before, after), str(Interval.of(np.array(found)))


def _difference(gold: Sequence[str], before: Sequence[str], after: Sequence[str]) -> float:
    first, second = (cohen_kappa(gold, labels, resamples=0).value for labels in (before, after))
    return float("nan") if first is None or second is None else second - first


def _retold(case: Case, text: str) -> Case:
    incident = case.incident.model_copy(update={"title": "", "write_up": text})
    return case.model_copy(update={"incident": incident})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path)
    parser.add_argument("--data", type=Path, help="the data file, where the suite has none of its own")
    parser.add_argument("--plant", type=int, default=0, help="items put into every write-up first")
    options = parser.parse_args()
    console = Console(stderr=True)
    warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
    suite = Suite.load(options.suite)
    if not isinstance(suite.history, Folds):
        suite = suite.model_copy(update={"history": Folds(folds=5)})
    facet = suite.facets[0]
    dataset = suite.load_data(Taxonomy.load(suite.taxonomy), options.data)
    folds = suite.folds_of(dataset.cases) or {}
    assigned = np.array([folds[case.id] for case in dataset.cases])
    before = [with_planted(case, options.plant) for case in dataset.cases]
    after = [redacted(case, Redactor()) for case in before]
    changed = sum(a.incident.text != b.incident.text for a, b in zip(before, after, strict=True))
    gold = np.array([case.gold[facet][0] for case in dataset.cases], dtype=object)
    print(f"{suite.name}, {facet}: n = {len(gold)}, {options.plant} planted in each, {changed} changed by redaction\n")
    print("| classifier | kappa, as they are | kappa, redacted | difference [95% interval] | labels that differ |")
    print("| --- | --- | --- | --- | --- |")
    vectors = [asyncio.run(embed(MiniLM(), cases, console)) for cases in (before, after)]
    texts = [np.array([case.incident.text for case in cases], dtype=object) for cases in (before, after)]
    for name, (kind, make) in MODELS.items():
        plain, hidden = (out_of_fold(make, f, gold, assigned) for f in (vectors if kind == "vectors" else texts))
        kappas = [cohen_kappa(gold.tolist(), labels) for labels in (plain, hidden)]
        value, interval = difference(gold.tolist(), plain, hidden, suite.seed)
        differ = sum(a != b for a, b in zip(plain, hidden, strict=True))
        print(f"| {name} | {kappas[0]} | {kappas[1]} | {value:+.3f} {interval} | {differ} |")


if __name__ == "__main__":
    main()
