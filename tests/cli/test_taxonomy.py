"""A taxonomy from one version to the next, on the command line; and the worked example of the manual."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.manual import blocks

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "tests/labels/evolution"
OLD, NEW, GIVEN, INCIDENTS = (
    str(SHOP / name) for name in ("shop-1.yaml", "shop-2.yaml", "shop-annotations.jsonl", "shop-incidents.jsonl")
)
pytestmark = pytest.mark.slow


def test_nothing_changed_is_told_and_is_an_exit_code_where_asked_for(triage: Run) -> None:
    same = triage("taxonomy", "diff", "cloud_faults", "cloud_faults", "--exit-code")
    assert (same.returncode, "nothing changed" in same.stdout) == (0, True)
    assert triage("taxonomy", "diff", OLD, NEW).returncode == 0
    assert triage("taxonomy", "diff", OLD, NEW, "--exit-code").returncode == 1


def test_the_changes_are_there_for_programs(triage: Run) -> None:
    done = triage("taxonomy", "diff", OLD, NEW, "--annotations", GIVEN, "--incidents", INCIDENTS, "--json")
    told = json.loads(done.stdout)

    assert {change["kind"] for change in told["changes"]} == {
        "split", "merged", "renamed", "redefined", "added", "cardinality",
    }  # fmt: skip
    assert told["annotations"]["to_relabel"] == 20
    assert told["relabel"][0]["incident_id"] == "w03"
    assert {one["facet"] for one in told["agreement"]} == {"area", "fault", "noticed_by"}


def test_a_plan_is_written_refused_confirmed_and_applied(triage: Run, tmp_path: Path) -> None:
    assert triage("taxonomy", "diff", OLD, NEW, "--write-plan", "plan.yaml").returncode == 0
    command = ["taxonomy", "migrate", "plan.yaml", "--annotations", GIVEN, "--out", "out.jsonl"]
    refused = triage(*command)
    assert refused.returncode == 2
    assert "Unconfirmed steps: fault.timeout, fault.wrong_setting, fault.disk" in " ".join(refused.stderr.split())
    assert not (tmp_path / "out.jsonl").exists()

    plan = tmp_path / "plan.yaml"
    plan.write_text(plan.read_text().replace("confirmed: false", "confirmed: true"))
    done = triage(*command, "--relabel", "anew.jsonl", "--incidents", INCIDENTS)
    assert done.returncode == 0, done.stderr
    assert "124 stand (97 as they are, 27 under a new id)" in done.stdout
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 124
    assert json.loads((tmp_path / "anew.jsonl").read_text().splitlines()[0])["incident_id"] == "w03"
    again = triage("taxonomy", "diff", NEW, NEW, "--annotations", "out.jsonl", "--json")
    assert json.loads(again.stdout)["annotations"]["kept"] == 124


def test_the_annotations_of_the_database_can_be_migrated(triage: Run, tmp_path: Path) -> None:
    data = {"TRIAGE_DATA_DIR": str(tmp_path / "own"), "TRIAGE_TAXONOMY": OLD}
    (tmp_path / "h.csv").write_text(
        "id,write_up,area,fault\na,The gateway cut the call.,software,timeout\nb,A lock was held.,software,hang\n"
    )
    assert triage("import", "h.csv", "--human", "--annotator", "ana", **data).returncode == 0
    told = json.loads(triage("taxonomy", "diff", OLD, NEW, "--store", "--json", **data).stdout)

    assert told["annotations"] | {"kept": 2, "mapped": 1, "to_relabel": 1} == told["annotations"]
    assert told["relabel"][0]["nearest"] == ["caller_timeout", "handler_timeout"]
    other = triage("taxonomy", "diff", "cloud_faults", "cloud_faults", "--store", **data)
    assert other.returncode == 2
    assert "was not labelled with cloud_faults" in " ".join(other.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["diff", "missing.yaml", NEW], "There is no file missing.yaml"),
        (["diff", OLD, NEW, "--annotations", "missing.jsonl"], "There is no file missing.jsonl"),
        (["diff", OLD, NEW, "--annotations", GIVEN, "--store"], "either --annotations or --store"),
        (["migrate", "missing.yaml", "--annotations", GIVEN, "--out", "out.jsonl"], "There is no file missing.yaml"),
    ],
)
def test_a_wrong_use_ends_with_code_2(triage: Run, arguments: list[str], told: str) -> None:
    done = triage("taxonomy", *arguments)

    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_the_manual_shows_what_the_command_prints(triage: Run) -> None:
    shown = list(blocks((ROOT / "docs/taxonomy-evolution.md").read_text()))

    assert shown
    for words, lines in shown:
        printed = triage(*words).stdout.splitlines()
        assert [line.rstrip() for line in printed] == lines, "python tests/cli/manual.py brings the page up to date"
        assert max(map(len, printed)) <= 100
