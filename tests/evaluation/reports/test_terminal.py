"""What the report of a run says."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from tests.evaluation.conftest import KeywordTriage, vllm_row
from triage.agreement import Confusion
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import Suite, print_report, run_suite, summarise, write_summary
from triage.evaluation.reports.terminal import _matrix


async def test_a_report_shows_agreement_confusion_and_every_trouble(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy, tmp_path: Path
) -> None:
    rows = [vllm_row(n, ("power", "network", "code")[n % 3]) for n in range(9)]
    rows += [
        vllm_row(20, "power", "The network part failed."),
        vllm_row(21, "code", "Nobody knows why."),
        vllm_row(22, None),
    ]
    write_jsonl(*rows)
    suite = write_suite(facets=["cause", "symptom"])
    subject = KeywordTriage(small, fails_on={"vllm-5"})
    run = await run_suite(suite, suite.load_data(small), small, subject, tmp_path / "run")
    summary = summarise(run, small)

    cause, symptom = summary.facets
    assert (summary.planned, summary.done, summary.failed, summary.degraded) == (12, 11, 1, 1)
    assert (cause.n, cause.unlabelled, cause.abstained) == (10, 1, 1)
    assert cause.accuracy == 0.8
    assert cause.answered_accuracy == 8 / 9
    assert cause.kappa is not None
    assert cause.answered is not None
    assert cause.kappa.interval is not None
    assert {score.label: score.recall for score in cause.labels} == {"power": 0.75, "network": 1.0, "code": 2 / 3}
    assert symptom.sets is not None
    assert symptom.sets.jaccard is not None
    assert symptom.kappa is None

    written = json.loads(write_summary(summary, run.folder).read_text())
    assert written["facets"][0]["kappa"]["value"] == cause.kappa.value
    assert written["facets"][0]["coverage"] == 0.9
    assert written["facets"][0]["answered"]["value"] == cause.answered.value
    assert written["failures"] == {"vllm-5": "TimeoutError: no answer in 60 s"}

    output = io.StringIO()
    print_report(summary, Console(file=output, width=100))
    text = output.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    for words in (
        "11 of 12 cases done",
        "1 failed",
        "1 degraded",
        "On 10 incidents the two agree in 80%",
        f"{cause.kappa}  ",
        f"90%  {cause.answered}",
        "Kappa and accuracy count an abstention as wrong",
        "Where it answered (9 cases): accuracy 0.89",
        "gold in rows and predicted in columns",
        "vllm-5 failed: TimeoutError",
        "1 case(s) degraded: the model did not answer",
        "mean kappa over labels",
    ):
        assert words in text


def test_a_matrix_of_all_failure_modes_fits_a_hundred_columns() -> None:
    labels = Taxonomy.load("llm_inference").facet("failure_mode").ids
    confusion = Confusion.of(labels * 12, [*labels[1:], labels[0]] * 12)
    output = io.StringIO()
    Console(file=output, width=100).print(_matrix(confusion))
    lines = output.getvalue().splitlines()
    assert len(lines) == len(labels) + 1
    assert all("12" in line for line in lines[1:])
