"""The shipped history and its datasheet."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from triage.evaluation import shipped_history
from triage.history.duplicates import is_near_duplicate

FOLDER = Path(__file__).parents[2] / "evals/datasets/llm_incidents"


def test_the_history_is_large_enough_and_every_incident_has_its_source() -> None:
    records = shipped_history()

    assert len(records) >= 120
    assert len({incident.url for incident, _ in records}) == len(records)
    assert all({"category", "failure_mode", "detection", "mitigation"} <= labels.keys() for _, labels in records)


def test_no_two_incidents_are_the_same_one() -> None:
    texts = [incident.write_up for incident, _ in shipped_history()]

    assert not [n for n, text in enumerate(texts) if any(is_near_duplicate(text, other) for other in texts[:n])]


def test_the_label_counts_of_the_datasheet_are_those_of_the_data() -> None:
    held, first = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for _, labels in shipped_history():
        for facet, ids in labels.items():
            held.update((facet, label) for label in ids)
            first[facet, ids[0]] += 1
    told = re.findall(r"^\| (\w+) \| (\w+) \| (\d+) \| (\d+) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)

    assert {(facet, label): (int(n), int(m)) for facet, label, n, m in told} == {
        key: (n, first[key]) for key, n in held.items()
    }
