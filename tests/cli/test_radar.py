"""`triage radar`, as a user runs it, with the local embedder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.insights.radar.parts import text

pytestmark = pytest.mark.slow

KINDS = {"network": "infrastructure", "management": "operational"}


def test_incidents_that_people_called_others_are_grouped_and_a_label_is_drafted(
    triage: Run, endpoint: dict[str, str], tmp_path: Path
) -> None:
    settings = {"TRIAGE_DATA_DIR": str(tmp_path / "data"), "TRIAGE_TAXONOMY": "cloud_reports"}
    rows = [f"{label}{n},{text(kind, n)},{label}" for label, kind in KINDS.items() for n in range(12)]
    rows += [f"money{n},{text('invoice', n)} Mail ann@example.org.,others" for n in range(6)]
    (tmp_path / "mine.csv").write_text("id,write_up,service_category\n" + "\n".join(rows))
    assert triage("import", "mine.csv", "--annotator", "ada", **settings).returncode == 0
    asked = ("radar", "--facet", "service_category")

    shown = triage(*asked, **settings)
    found = json.loads(triage(*asked, "--json", **settings).stdout)
    yaml = triage(*asked, "--yaml", "--phrase", **settings | endpoint)

    assert shown.returncode == 0, shown.stderr
    assert "incidents are alike and no label fits them" in " ".join(shown.stdout.split())
    assert max(map(len, shown.stdout.splitlines())) <= 100
    assert {one["incident_id"] for one in found["ill_fitting"]} == {f"money{n}" for n in range(6)}
    assert {reason["kind"] for one in found["ill_fitting"] for reason in one["reasons"]} == {"residual"}
    assert "ann@example.org" not in json.dumps(found)
    assert "worded by any-model (draft_label@1.0.0): money" in yaml.stdout, yaml.stderr


def test_a_store_without_enough_says_how_many_are_needed_and_wording_needs_a_model(triage: Run) -> None:
    done, refused = triage("radar"), triage("radar", "--phrase")
    assert (refused.returncode, "TRIAGE_MODEL is none" in refused.stderr) == (1, True)
    assert done.returncode == 0, done.stderr
    assert "no new kind seen" in done.stdout
    assert "5 that are alike are needed" in " ".join(done.stdout.split())
