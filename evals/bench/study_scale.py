"""How long a study takes and how much memory, by the number of incidents: `python -m evals.bench.study_scale`.

The write-ups are those of `write_ups.py`, each with the closing words of a status page; one in twenty repeats an
earlier one with other numbers. Labels are by lot, with a category that becomes more frequent after three of five years
and a failure mode within it; most have times. Embeddings are those of nobody: 384 numbers by lot around as many centres
as there are write-ups, the repeats near their originals. Each size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np

from evals.bench.write_ups import WriteUps
from triage.domain.annotation import Annotation, Labels
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.insights.study import Corpus, Record, Roles, make_study
from triage.insights.study.html_page import as_html
from triage.insights.study.study import shortened

_BEGIN = datetime(2021, 1, 1, tzinfo=UTC)
_DAYS = 5 * 365
_CLOSING = "A fix has been implemented and we are monitoring the results. This incident has been resolved."


def corpus_of(size: int, taxonomy: Taxonomy, seed: int = 0) -> tuple[Corpus, dict[str, np.ndarray]]:
    """A corpus of that size with embeddings."""
    lots, write_ups = np.random.default_rng(seed), WriteUps(seed)
    records: list[Record] = []
    vectors: dict[str, np.ndarray] = {}
    annotations: list[Annotation] = []
    for number in range(size):
        repeats = records[int(lots.integers(number))] if number and lots.random() < 0.05 else None
        made = write_ups.make(number)
        text = repeats.incident.write_up if repeats else f"{made['write_up']} {_CLOSING}"
        day = float(lots.random() * _DAYS)
        started = _BEGIN + timedelta(days=day)
        key = f"i{number}"
        incident = Incident(
            id=key,
            title=made["title"],
            write_up=text,
            severity=str(lots.choice(["SEV1", "SEV2", "SEV3"])),
            started_at=started,
            detected_at=started + timedelta(minutes=float(lots.integers(1, 60))) if lots.random() < 0.7 else None,
            mitigated_at=started + timedelta(hours=1, minutes=float(lots.exponential(120)))
            if lots.random() < 0.9
            else None,
        )
        centre = vectors[repeats.id] if repeats else lots.normal(size=384)
        vector = centre + lots.normal(size=384) * 0.1 * np.linalg.norm(centre) / 20
        vectors[key] = (vector / np.linalg.norm(vector)).astype(np.float32)
        labels = _labels(taxonomy, lots, is_late=day > 0.6 * _DAYS)
        records.append(Record(incident, labels))
        if number % 10 == 0:
            annotations += [
                Annotation(incident_id=key, facet="category", labels=labels["category"], annotator=who)
                for who in ("one", "other")
            ]
    return Corpus("by lot", taxonomy, tuple(records), "given by lot", tuple(annotations)), vectors


def _labels(taxonomy: Taxonomy, lots: np.random.Generator, *, is_late: bool) -> Labels:
    labels: Labels = {}
    modes = taxonomy.facet("failure_mode").labels
    weights = np.array([3.0 if is_late and mode.parent == modes[0].parent else 1.0 for mode in modes])
    mode = modes[int(lots.choice(len(modes), p=weights / weights.sum()))]
    labels |= {"category": (mode.parent or "",), "failure_mode": (mode.id,)}
    for facet in taxonomy.facets:
        if facet.id not in labels:
            labels[facet.id] = (str(lots.choice(facet.ids)),)
    return labels


def measure(size: int) -> str:
    """A line of the table; run in a process of its own."""
    taxonomy = Taxonomy.load("llm_inference")
    corpus, vectors = corpus_of(size, taxonomy)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    start, cpu = time.perf_counter(), time.process_time()
    study = make_study(corpus, Roles.load(taxonomy), vectors=vectors)
    times.append(f"{time.process_time() - cpu:.1f} | {time.perf_counter() - start:.1f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu = time.process_time()
    page = as_html(study, corpus)
    times.append(f"{time.process_time() - cpu:.1f}")
    sizes = (len(study.model_dump_json()) / 1e6, len(str(shortened(study, 20))) / 1e6, len(page) / 1e6)
    found = f"{study.repeats.n_groups} groups of {study.repeats.n_repeated}"
    changes = sum(len(course.changes) for one in study.trends for course in (one.number, one.share) if course)
    told = [f"{size:,}", *times, f"{before // 1024} | {peak // 1024}", *(f"{one:.1f}" for one in sizes)]
    return f"| {' | '.join(told)} | {found}, {changes} changes |"


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 5_000, 20_000])
    parser.add_argument("--one", type=int)
    options = parser.parse_args()
    if options.one:
        print(measure(options.one))
        return
    print(
        "| incidents | CPU s | wall s | page, CPU s | MiB before | MiB peak "
        "| JSON, MB | JSON of the API, MB | page, MB | found |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for size in options.sizes:
        subprocess.run([sys.executable, "-m", "evals.bench.study_scale", "--one", str(size)], check=True)


if __name__ == "__main__":
    main()
