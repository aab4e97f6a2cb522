"""Simple baselines on a suite's cases, on the folds that its runs use, beside the runs themselves.

    python evals/bench/baselines.py evals/suites/cloud_faults.yaml --data FILE --run runs/cloud_faults-0a1b2c3d4e

Nearest neighbours and logistic regression work on the embeddings of the local embedder, the linear support vector
machine on TF-IDF of one and two words. Copies of a write-up (also near-duplicates) may stand on both sides of a fold
here, while a run never sees them: where there are any, they favour the baselines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from triage.agreement import Kappa, cohen_kappa
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import Case, Run, Suite
from triage.evaluation.metrics import ABSTAINED
from triage.evaluation.suites import Folds
from triage.models.embedding import Embedder
from triage.models.embedding.onnx import MiniLM

BATCH = 16


class Row(BaseModel, frozen=True):
    """One line of the table: a method and its agreement with the gold labels on the cases that all methods share."""

    facet: str
    method: str
    n: int
    accuracy: float
    kappa: Kappa


# Method -> what it reads (vectors or texts), and how to make it.
MODELS: dict[str, tuple[str, Callable[[], Any]]] = {
    "kNN (5), embeddings": ("vectors", lambda: KNeighborsClassifier(5, metric="cosine")),
    "logistic regression, embeddings": (
        "vectors",
        lambda: LogisticRegression(C=10, max_iter=2000, class_weight="balanced"),
    ),
    "linear SVM, TF-IDF 1-2 grams": (
        "texts",
        lambda: make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
            LinearSVC(class_weight="balanced", random_state=0),
        ),
    ),
}


def out_of_fold(make: Callable[[], Any], features: NDArray[Any], gold: NDArray[Any], folds: NDArray[Any]) -> list[str]:
    """The label that a model trained on the other folds gives to each case."""
    predicted = np.empty_like(gold)
    for fold in np.unique(folds):
        test = folds == fold
        predicted[test] = make().fit(features[~test], gold[~test]).predict(features[test])
    return [str(label) for label in predicted]


async def embed(embedder: Embedder, cases: Sequence[Case], console: Console) -> NDArray[np.float32]:
    """The embedding of each case's text, with progress."""
    batches = []
    with console.status("embedding") as status:
        for start in range(0, len(cases), BATCH):
            status.update(f"embedding {start} of {len(cases)}")
            batches.append(await embedder.embed([case.incident.text for case in cases[start : start + BATCH]]))
    return np.concatenate(batches)


def measure(
    facet: str, cases: Sequence[Case], vectors: NDArray[np.float32], folds: Mapping[str, int], runs: Sequence[Run]
) -> list[Row]:
    """All baselines and runs on the first label of one facet, scored on the cases that every run has finished."""
    chosen = [index for index, case in enumerate(cases) if case.gold.get(facet)]
    gold = np.array([cases[index].gold[facet][0] for index in chosen], dtype=object)
    features = {
        "vectors": vectors[chosen],
        "texts": np.array([cases[index].incident.text for index in chosen], dtype=object),
    }
    ids = [cases[index].id for index in chosen]
    assigned = np.array([folds[case_id] for case_id in ids])
    methods: dict[str, dict[str, str]] = {}
    for name, (kind, make) in MODELS.items():
        methods[name] = dict(zip(ids, out_of_fold(make, features[kind], gold, assigned), strict=True))
    for run in (run for run in runs if facet in run.suite.facets):
        methods[run.folder.name] = {
            record.case_id: (record.predicted.get(facet) or (ABSTAINED,))[0]
            for record in run.records
            if record.status == "done"
        }
    shared = [case_id for case_id in ids if all(case_id in predicted for predicted in methods.values())]
    truth = dict(zip(ids, gold.tolist(), strict=True))
    rows = []
    for name, predicted in methods.items():
        pairs = [(truth[case_id], predicted[case_id]) for case_id in shared]
        accuracy = sum(a == b for a, b in pairs) / len(pairs) if pairs else 0.0
        kappa = cohen_kappa([a for a, _ in pairs], [b for _, b in pairs])
        rows.append(Row(facet=facet, method=name, n=len(pairs), accuracy=accuracy, kappa=kappa))
    return rows


def markdown(title: str, rows: Sequence[Row]) -> str:
    """The table for a README."""
    lines = [
        f"## {title}",
        "",
        "| facet | method | n | accuracy | kappa [95% interval] |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [f"| {row.facet} | {row.method} | {row.n} | {row.accuracy:.2f} | {row.kappa} |" for row in rows]
    return "\n".join(lines) + "\n"


def show(title: str, rows: Sequence[Row], console: Console) -> None:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in ("facet", "method"):
        table.add_column(heading)
    for heading in ("n", "accuracy"):
        table.add_column(heading, justify="right")
    table.add_column("kappa [95% interval]")
    for row in rows:
        table.add_row(row.facet, row.method, str(row.n), f"{row.accuracy:.2f}", str(row.kappa))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path)
    parser.add_argument("--data", type=Path, help="the data file, where the suite has none of its own")
    parser.add_argument("--run", type=Path, action="append", default=[], help="folder of a finished run; repeatable")
    parser.add_argument("--out", type=Path, help="folder for baselines-SUITE.json and baselines-SUITE.md")
    options = parser.parse_args()
    console = Console()
    # A label with fewer cases than folds is missing from some training sets; the counts are in the runs' reports.
    warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
    suite = Suite.load(options.suite)
    if not isinstance(suite.history, Folds):
        suite = suite.model_copy(update={"history": Folds(folds=5)})
    taxonomy = Taxonomy.load(suite.taxonomy)
    dataset = suite.load_data(taxonomy, options.data)
    folds = suite.folds_of(dataset.cases) or {}
    runs = [Run.read(folder) for folder in options.run]
    for run in runs:
        if any(record.fold not in (None, folds[record.case_id]) for record in run.records if record.case_id in folds):
            parser.error(f"{run.folder} was run on other folds: give the suite and seed it was run with")
    facets = [facet for facet in suite.facets if taxonomy.facet(facet).cardinality != "multi"]
    vectors = asyncio.run(embed(MiniLM(), dataset.cases, console))
    rows = [row for facet in facets for row in measure(facet, dataset.cases, vectors, folds, runs)]
    count = len(set(folds.values()))
    title = f"{suite.name}: {count} folds, seed {suite.seed}, {MiniLM.fingerprint}"
    show(title, rows, console)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        content = {
            "suite": suite.name,
            "data": {"file": dataset.path.name, "sha256": dataset.sha256, "cases": len(dataset.cases)},
            "folds": count,
            "seed": suite.seed,
            "embedder": MiniLM.fingerprint,
            "rows": [row.model_dump(mode="json") for row in rows],
        }
        name = f"baselines-{suite.name}"
        (options.out / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        (options.out / f"{name}.md").write_text(markdown(title, rows), encoding="utf-8")
        console.print(f"written to {options.out / name}.json and .md")


if __name__ == "__main__":
    main()
