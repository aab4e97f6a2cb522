"""The command line, as a user runs it: a process, its output, its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.fake_openai import FakeOpenAI, Status
from tests.parts import outdated_calibrator

WRITE_UP = "# Completions fail\n\nThe Redis cluster ran out of connections. We restarted it and all was well again."
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def test_a_write_up_on_standard_input_is_triaged_and_readable(triage: Run, endpoint: dict[str, str]) -> None:
    done = triage("classify", stdin=WRITE_UP, **endpoint)

    assert done.returncode == 0, done.stderr
    title, label, quote = "Completions fail", "Inference engine", "“ran out of connections”"
    for shown in (title, label, quote, "Similar past incidents", "any-model"):
        assert shown in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_json_is_one_line_a_triage_and_nothing_else(triage: Run, endpoints: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(WRITE_UP)
    lines = ['{"id": "b1", "write_up": "A node died."}', '{"id": "b2", "write_up": "A disk died."}']
    (tmp_path / "b.jsonl").write_text("\n".join(lines))
    done = triage("classify", "a.md", "b.jsonl", "--json", **endpoints)

    triages = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["incident_id"] for one in triages][1:] == ["b1", "b2"]
    assert triages[0]["facets"]["category"]["labels"] == ["inference_engine"]


def test_only_the_facets_that_are_named_are_asked_for_and_shown(
    triage: Run, endpoints: dict[str, str], fake_openai: FakeOpenAI
) -> None:
    done = triage("classify", "--facets", "failure_mode,detection", "--json", stdin=WRITE_UP, **endpoints)
    wrong = triage("classify", "--facets", "failure_mod", stdin=WRITE_UP, **endpoints)

    assert list(json.loads(done.stdout)["facets"]) == ["failure_mode", "detection"]
    # The messages name other facets too, as labels of similar incidents.
    asked = json.dumps({name: value for name, value in fake_openai.requests[-1].items() if name != "messages"})
    # The failure mode refines the category.
    assert all(facet in asked for facet in ("failure_mode", "category", "detection"))
    assert "modality" not in asked
    assert wrong.returncode == 2
    assert "failure_mode" in wrong.stderr


def test_a_degraded_answer_is_told_and_is_an_exit_code(
    triage: Run, endpoints: dict[str, str], fake_openai: FakeOpenAI
) -> None:
    fake_openai.otherwise = Status(401)
    done = triage("classify", stdin=WRITE_UP, **endpoints)

    assert done.returncode == 1
    assert "DEGRADED" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "stdin", "told"),
    [
        (["classify", "missing.md"], b"", "There is no file missing.md"),
        (["classify"], b"", "standard input is empty"),
        (["classify"], b"\xff\xfe", "not UTF-8"),
        (["search", "..."], b"", "no word to look for"),
        (["import", "missing.csv"], b"", "There is no file missing.csv"),
        (["eval", "run", "missing.yaml"], b"", "There is no suite file missing.yaml"),
        (["taxonomy", "check", "missing.yaml"], b"", "There is no taxonomy file missing.yaml"),
        (["eval", "run", str(ROOT / "evals/suites/cloud_faults.yaml")], b"", "give the file with --data"),
    ],
)
def test_a_wrong_use_ends_with_code_2_and_one_clear_message(
    triage: Run, arguments: list[str], stdin: bytes, told: str
) -> None:
    done = triage(*arguments, stdin=stdin)

    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("TRIAGE_PORT", "many", "valid integer"),
        ("TRIAGE_FALLBACK_MODELS", "gpt-x", "a list as JSON"),
        ("TRIAGE_CORS_ORIGINS", "https://wiki.example", "a list as JSON"),
    ],
)
def test_a_wrong_setting_is_named(triage: Run, name: str, value: str, told: str) -> None:
    done = triage("search", "anything", **{name: value})

    assert done.returncode == 2
    assert f"The setting {name} is not valid" in done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_service_that_logs_json_writes_nothing_else_to_standard_error(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TRIAGE_", "OPENAI_"))}
    environment |= {"TRIAGE_DATA_DIR": str(tmp_path), "TRIAGE_MODEL": "none", "TRIAGE_AUTH": "on"}
    environment["TRIAGE_SHIPPED_HISTORY"] = "false"
    command = [str(Path(sys.executable).with_name("triage")), "serve", "--port", "0"]
    with subprocess.Popen(
        command, env=environment | {"TRIAGE_LOG_FORMAT": "json"}, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as service:
        assert service.stderr is not None
        try:
            lines = [service.stderr.readline() for _ in range(2)]
        finally:
            service.terminate()
        lines += service.stderr.readlines()

    told = [json.loads(line)["message"] for line in lines]
    assert "triage serves on http://127.0.0.1:" in told[0]
    assert "triage keys create" in told[1]


def test_a_model_without_its_key_is_told_of_with_what_to_set(triage: Run) -> None:
    done = triage("classify", stdin=WRITE_UP, TRIAGE_MODEL="gpt-5-mini")

    assert done.returncode == 1
    assert "set OPENAI_API_KEY" in " ".join(done.stderr.split())


def test_imported_incidents_are_found_by_search(triage: Run, tmp_path: Path) -> None:
    data = {"TRIAGE_DATA_DIR": str(tmp_path / "own"), "TRIAGE_SHIPPED_HISTORY": "false"}
    (tmp_path / "h.csv").write_text(
        "id,title,write_up,category,mitigation\nfan-1,Racks too hot,A cooling fan failed and racks were shut down.,"
        "infrastructure,failover\nq-1,Queue stuck,The scheduler queue was stuck.,inference_engine,restart\n"
    )
    imported = triage("import", "h.csv", "--human", "--annotator", "ann", **data)
    assert "2 incidents imported; the history holds 2." in imported.stdout
    assert "holds 2" in triage("import", "h.csv", "--human", "--annotator", "ann", **data).stdout

    found = json.loads(triage("search", "overheating in the data centre", "-k", "1", "--json", **data).stdout)
    assert found[0]["incident_id"] == "fan-1"
    shown = triage("search", "overheating in the data centre", **data).stdout
    assert "Racks too hot" in shown
    assert "ended by failover" in shown


def test_what_an_import_uses_for_nothing_is_told(triage: Run, tmp_path: Path) -> None:
    data = {"TRIAGE_DATA_DIR": str(tmp_path / "own"), "TRIAGE_SHIPPED_HISTORY": "false"}
    (tmp_path / "h.csv").write_text(
        "id,write_up,category,detections\na,A fan failed.,infrastructure,automated\nb,A queue was stuck.,operational,\n"
        "a,A fan failed.,operational,automated\n"
    )
    done = triage("import", "h.csv", **data)

    assert "nor facets of llm_inference: detections." in done.stderr
    assert "1 row has an id that stands in the file before" in done.stderr
    assert "2 incidents imported; the history holds 2." in done.stdout
    told = json.loads(triage("import", "h.csv", "--json", **data).stdout)
    counts = {"imported": 2, "skipped": 0, "repeated": 1, "unlabelled": 0, "history_size": 2}
    assert told == counts | {"unused": ["detections"]}


def test_a_data_folder_that_cannot_be_used_is_named_with_what_to_set(triage: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for folder, reason in (("file", "a file is in its place"), ("file/below", "Not a directory")):
        done = triage("search", "redis", TRIAGE_DATA_DIR=str(tmp_path / folder))
        told = " ".join(done.stderr.split())
        assert (done.returncode, "Traceback" in told) == (1, False)
        assert f"can't be used ({reason}): set TRIAGE_DATA_DIR" in told
    ill = triage("doctor", "--json", TRIAGE_DATA_DIR=str(tmp_path / "file"))
    advice = {part["part"]: part["advice"] for part in json.loads(ill.stdout) if not part["is_ok"]}
    assert set(advice) == {"database", "encryption", "index"}
    assert all("set TRIAGE_DATA_DIR" in each for each in advice.values())


def test_a_taxonomy_is_checked_line_by_line(triage: Run, tmp_path: Path) -> None:
    good = ROOT / "triage/taxonomies/cloud_faults.yaml"
    (tmp_path / "bad.yaml").write_text(good.read_text().replace("  - id: root_cause\n", "  - ide: root_cause\n", 1))

    assert "No mistakes" in triage("taxonomy", "check", str(good)).stdout
    bad = triage("taxonomy", "check", "bad.yaml")
    assert bad.returncode == 2
    assert "bad.yaml:" in bad.stdout
    assert json.loads(triage("taxonomy", "check", "bad.yaml", "--json").stdout)[0]["line"] > 1


def test_the_doctor_finds_everything_in_place_or_says_what_to_do(triage: Run, endpoint: dict[str, str]) -> None:
    well = triage("doctor", **endpoint)
    assert well.returncode == 0, well.stdout
    assert "Everything is in place" in well.stdout

    ill = triage("doctor", TRIAGE_MODEL="gpt-5-mini", TRIAGE_TAXONOMY="nonsense")
    assert ill.returncode == 1
    assert "set OPENAI_API_KEY" in " ".join(ill.stdout.split())
    assert "There is no taxonomy 'nonsense'" in " ".join(ill.stdout.split())
    parts = json.loads(triage("doctor", "--json", TRIAGE_PORT="many").stdout)
    assert parts[0]["state"].startswith("TRIAGE_PORT")


def test_the_doctor_warns_of_a_calibrator_that_no_longer_fits(triage: Run, tmp_path: Path) -> None:
    outdated_calibrator(tmp_path / "own")
    settings = {"TRIAGE_MODEL": "none", "TRIAGE_TAXONOMY": "cloud_faults", "TRIAGE_DATA_DIR": str(tmp_path / "own")}

    parts = {part["part"]: part for part in json.loads(triage("doctor", "--json", **settings).stdout)}
    shown = triage("doctor", **settings)

    assert parts["calibrator"]["is_ok"]
    assert "taxonomy cloud_faults@0.0.1 (now cloud_faults@" in parts["calibrator"]["state"]
    assert parts["calibrator"]["advice"].startswith("Fit a new one with `triage eval run SUITE`")
    assert "warn" in shown.stdout
    assert "1 of 9 need attention" in shown.stdout
    assert shown.returncode == 0


def test_a_suite_runs_is_scored_and_resumes(triage: Run, endpoints: dict[str, str], fake_openai: FakeOpenAI) -> None:
    command = ["eval", "run", str(ROOT / "evals/suites/llm_incidents.yaml"), "--limit", "6", "--out", "runs"]
    first = triage(*command, **endpoints)
    asked = len(fake_openai.requests)
    again = triage(*command, **endpoints)

    assert first.returncode == 0, first.stderr
    assert "6 of 6 cases done" in first.stdout
    assert "kappa" in first.stdout
    assert len(fake_openai.requests) == asked >= 6
    assert "6 of them in an earlier session" in again.stdout


def test_a_command_starts_without_what_few_commands_need() -> None:
    heavy = {"numpy", "sqlalchemy", "chromadb", "openai", "fastapi", "matplotlib"}
    code = f"import sys, triage.cli; print([name for name in {heavy!r} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_the_version_is_told(triage: Run) -> None:
    assert triage("--version").stdout.startswith("triage 0.")


def test_a_search_as_of_a_moment_finds_what_had_begun_before(triage: Run) -> None:
    found = json.loads(triage("search", "requests fail", "--as-of", "2024-01-01", "--json").stdout)

    assert found
    assert all(one["occurred_at"] < "2024-01-01" for one in found)


def test_a_triage_as_of_its_start_needs_to_know_when_it_began(triage: Run) -> None:
    done = triage("classify", "--as-of-start", stdin=WRITE_UP)

    assert done.returncode == 2
    assert "give it a started_at" in done.stderr


def test_live_agreement_is_told_without_a_model_or_an_embedder(triage: Run, tmp_path: Path) -> None:
    data = {"TRIAGE_DATA_DIR": str(tmp_path / "own"), "TRIAGE_LIVE_KAPPA_GATE": "0.6"}
    shown = triage("live", **data)

    assert shown.returncode == 0, shown.stderr
    assert "the last 30 days" in " ".join(shown.stdout.split())
    assert "No alert." in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 100
    report = json.loads(triage("live", "--days", "7", "--json", **data).stdout)
    assert (report["window_days"], report["gate"]) == (7.0, 0.6)
    assert report["facets"][0]["kappa"]["n"] == 0


def test_a_summary_is_drafted_to_standard_output_or_a_file(triage: Run, tmp_path: Path) -> None:
    data = {"TRIAGE_DATA_DIR": str(tmp_path / "own"), "TRIAGE_SHIPPED_HISTORY": "false"}
    kept = {
        "id": "own-1",
        "title": "Chat is down",
        "write_up": "All users got errors at 09:12.",
        "labels": {"category": ["operational"]},
    }
    (tmp_path / "one.jsonl").write_text(json.dumps(kept))
    assert triage("import", "one.jsonl", "--human", "--annotator", "ann", **data).returncode == 0
    shown = triage("summary", "own-1", **data)
    written = triage("summary", "own-1", "--out", "draft.md", **data)

    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("# Chat is down\n\n> **Draft.**")
    assert "Labelled by ann" in shown.stdout
    assert (written.stdout, (tmp_path / "draft.md").read_text()) == ("", shown.stdout)
    assert triage("summary", "nobody", **data).returncode == 2
    assert "There is no folder missing" in triage("summary", "own-1", "--out", "missing/draft.md", **data).stderr
