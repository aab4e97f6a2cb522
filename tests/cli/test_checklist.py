"""`triage checklist`, `triage ledger` and `triage automation` on the shipped history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

SUITES = str(Path(__file__).parents[2] / "evals" / "suites")
pytestmark = pytest.mark.slow


def test_the_checklist_tells_what_is_open_and_strict_is_an_exit_code(triage: Run) -> None:
    shown = triage("checklist", "--suites", SUITES)
    strict = triage("checklist", "--suites", SUITES, "--strict", "--json")

    assert (shown.returncode, strict.returncode) == (0, 1), shown.stderr
    assert "next: triage annotate assign" in shown.stdout
    steps = {step["id"]: step for step in json.loads(strict.stdout)["steps"]}
    assert steps["taxonomy_versioned"]["is_fulfilled"]
    assert not steps["two_annotators"]["is_fulfilled"]


def test_the_ledger_and_the_playbooks_of_the_shipped_history(triage: Run) -> None:
    asked = ("--category", "Operational", "--failure-mode", "deployment")
    ledger = json.loads(triage("ledger", *asked, "--json").stdout)
    shown = triage("ledger", *asked).stdout
    refused = triage("ledger", "--label", "colour")
    playbooks = json.loads(triage("automation", "--json").stdout)["playbooks"]

    assert ledger["entries"][0]["mitigation"] == "rollback"
    assert "Rollback" in shown
    assert "Figures that rest on fewer than 5 incidents with a known end are left empty." in shown
    assert (refused.returncode, "FACET=LABEL" in refused.stderr) == (2, True)
    assert playbooks[0]["trigger"] == {"category": ["operational"], "failure_mode": ["deployment"]}
