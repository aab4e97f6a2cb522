"""`triage study`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

pytestmark = pytest.mark.slow


def test_a_file_of_any_taxonomy_is_studied_and_written(triage: Run, tmp_path: Path) -> None:
    rows = "".join(f"i{n},Something broke number {n},{label}\n" for n, label in enumerate(["bug", "usage"] * 6))
    (tmp_path / "mine.csv").write_text("id,write_up,issue_type\n" + rows)
    done = triage("study", "mine.csv", "--taxonomy", "engine_issues", "--human", "--out", "told")

    assert done.returncode == 0, done.stderr
    assert "12 incidents" in done.stdout
    assert "given by people" in done.stdout
    study = json.loads((tmp_path / "told" / "study.json").read_text())
    assert [len(one["incident_ids"]) for one in study["distributions"][0]["shares"]] == [6, 6]
    assert (tmp_path / "told" / "study.html").is_file()
    plots = sorted(path.name for path in (tmp_path / "told" / "plots").iterdir())
    assert plots == [f"issue_type-{theme}.{ending}" for theme in ("dark", "light") for ending in ("png", "svg")]
    assert "4 pictures in plots" in done.stderr
    assert (tmp_path / "told" / "issue_type.csv").read_text().startswith("Issue type,incidents,of,share")


def test_the_store_is_studied_with_its_own_embeddings(triage: Run, tmp_path: Path) -> None:
    assert triage("search", "timeouts").returncode == 0
    done = triage("study", "--store", "--json")

    assert done.returncode == 0, done.stderr
    study = json.loads(done.stdout)
    assert study["n"] >= 122
    assert "derived from other facts" in study["origin"]
    assert study["repeats"]["similarity"] == 0.85
    assert study["repeats"]["groups"]


def test_a_file_and_the_store_are_not_studied_together(triage: Run) -> None:
    done = triage("study", "mine.csv", "--store")
    assert done.returncode == 2
    assert "not both" in done.stderr
