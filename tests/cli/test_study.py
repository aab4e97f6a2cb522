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


def test_a_file_with_fields_of_its_own_needs_no_taxonomy(triage: Run, tmp_path: Path) -> None:
    rows = [
        {
            "key": f"r{n}",
            "text": f"It broke in the {'abcdefgh'[n % 8]} hall",
            "why": "disk" if n % 2 else "net",
            "noticed": "monitor" if n % 3 else "customer",
            "began": f"2024-0{1 + n % 8}-01",
            "took": 10 + n,
        }
        for n in range(24)
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"key": "bad", "text": ""}]))
    asked = ["--facet", "why=why", "--facet", "noticed=noticed", "--field", "id=key", "--field", "started_at=began"]
    asked += ["--field", "duration_minutes=took", "--role", "automated=noticed:monitor", "--role", "reported=customer"]
    refused = triage("study", "own.jsonl", *asked)
    done = triage("study", "own.jsonl", *asked, "--skip-bad", "--json")

    assert refused.returncode != 0
    assert "line 25" in refused.stderr
    assert done.returncode == 0, done.stderr
    study = json.loads(done.stdout)
    assert (study["n"], study["detection"]["automated"]["hits"], study["taxonomy"]) == (
        24,
        16,
        "labels_of_the_file@0.0.0",
    )
    overall = next(one for one in study["durations"] if one["measure"] == "ttm" and one["facet"] is None)
    assert (overall["n_ended"], overall["quantiles"]["median"]) == (24, 21.0)
    assert "1 row(s) with mistakes are left out" in study["notes"][0]


def test_a_corpus_says_in_the_terminal_what_it_can_not_tell(triage: Run, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("id,write_up,issue_type\na,It broke,bug\nb,How do I,usage\n")
    done = triage("study", "few.csv", "--taxonomy", "engine_issues")
    told = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stderr
    assert "What this corpus can't tell" in told
    assert "started_at, 0 have detected_at" in told
    assert "give started_at and detected_at" in told


def test_roles_of_the_settings_are_taken(triage: Run, tmp_path: Path) -> None:
    (tmp_path / "roles.yaml").write_text("detection: {facet: issue_type, automated: [bug], reported: [usage]}\n")
    (tmp_path / "few.csv").write_text("id,write_up,issue_type\na,It broke,bug\nb,How do I,usage\n")
    done = triage("study", "few.csv", "--taxonomy", "engine_issues", "--json", TRIAGE_STUDY_ROLES="roles.yaml")
    assert json.loads(done.stdout)["detection"]["reported"]["hits"] == 1


def test_the_store_is_studied_with_its_own_embeddings(triage: Run, tmp_path: Path) -> None:
    assert triage("search", "timeouts").returncode == 0
    done = triage("study", "--store", "--json")

    assert done.returncode == 0, done.stderr
    study = json.loads(done.stdout)
    assert study["n"] >= 455
    assert "derived from other facts" in study["origin"]
    assert study["repeats"]["similarity"] == 0.85
    assert study["repeats"]["groups"]
    assert "two_annotators" in [step["id"] for step in study["checklist"]["steps"]]


def test_a_file_and_the_store_are_not_studied_together(triage: Run) -> None:
    done = triage("study", "mine.csv", "--store")
    assert done.returncode == 2
    assert "not both" in done.stderr


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--facet", "why"], "NAME=FIELD"),
        (["--facet", "why=why"], "name a file"),
        (["--team", "payments"], "--store"),
        (["--role", "automatic=x:y"], "automated"),
        (["--taxonomy", "engine_issues"], "Name a file"),
    ],
)
def test_what_does_not_go_together_says_what_to_do(triage: Run, asked: list[str], told: str) -> None:
    done = triage("study", *asked)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
