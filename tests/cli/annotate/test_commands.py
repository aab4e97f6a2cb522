"""`triage annotate` as its users run it: processes, their output, their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from triage.app.settings import Settings
from triage.app.wiring.components import open_components
from triage.domain.incident import Incident
from triage.domain.principal import SHARED_TEAM

pytestmark = pytest.mark.slow

LINES = [
    {"id": "one", "title": "Zone gone", "write_up": "A switch lost its uplinks in one zone."},
    {"id": "two", "title": "Slow answers", "write_up": "A release was rolled back after answers were slow."},
]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    return {"TRIAGE_DATA_DIR": str(tmp_path / "own"), "TRIAGE_SHIPPED_HISTORY": "false"}


def test_a_job_from_assignment_to_gold(triage: Run, tmp_path: Path, settings: dict[str, str]) -> None:
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    assigned = triage(
        "annotate", "assign", "--annotators", "ada,grace", "--from", "new.jsonl", "--facets", "category", **settings
    )
    assert assigned.returncode == 0, assigned.stderr
    assert "2 incidents assigned:" in assigned.stdout
    assert "labels on the page /label" in assigned.stdout

    table = "incident_id,facet,labels,annotator,note\n"
    table += "one,category,Infrastructure,ada,The switch.\none,category,infrastructure,grace,\n"
    table += "two,category,operational,ada,\ntwo,category,inference_engine,grace,\n"
    (tmp_path / "labels.csv").write_text(table)
    imported = triage("annotate", "import", "labels.csv", "--origin", "human", **settings)
    assert "4 annotations read, 4 of them new." in imported.stdout

    told = json.loads(triage("annotate", "status", "--json", **settings).stdout)
    assert [(each["annotator"], each["assigned"], each["done"]) for each in told["annotators"]] == [
        ("ada", 2, 2),
        ("grace", 2, 2),
    ]
    shown = triage("annotate", "status", **settings).stdout
    assert "1 in open disagreement, 1 agreed on and not gold yet, 0 settled." in " ".join(shown.split())
    assert "Next: settle on the page /label/adjudicate" in shown
    assert max(map(len, shown.splitlines())) <= 100

    accepted = triage("annotate", "adjudicate", "--annotator", "lin", "--accept-agreed", **settings)
    assert "1 labels of 1 incidents are gold" in accepted.stdout
    history = triage("annotate", "history", "one", **settings).stdout
    assert "category: infrastructure  lin confirmed what all said" in history
    assert "ada said infrastructure: The switch." in history
    assert "Nothing of it was adjudicated" in triage("annotate", "history", "two", **settings).stdout
    assert json.loads(triage("search", "switch", "-k", "1", "--json", **settings).stdout)[0]["incident_id"] == "one"

    exported = triage("annotate", "export", "--format", "csv", **settings).stdout
    assert len(exported.splitlines()) == 6
    written = triage("annotate", "export", "--format", "label-studio", "--out", "tasks.json", **settings)
    assert "5 annotations written to tasks.json." in written.stdout
    assert len(json.loads((tmp_path / "tasks.json").read_text())) == 2


def test_empty_states_say_which_command_comes_next(triage: Run, settings: dict[str, str]) -> None:
    assert "triage annotate assign --annotators" in triage("annotate", "status", **settings).stdout
    nothing = triage("annotate", "assign", "--annotators", "ada,grace", **settings)
    assert (nothing.returncode, "--from" in nothing.stderr) == (2, True)
    assert "no annotations yet" in triage("annotate", "export", **settings).stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["label", "--annotator", "ada"], "No such command 'label'"),
        (["adjudicate", "--annotator", "ada"], "Settle disagreements on the page /label/adjudicate"),
        (["import", "missing.csv"], "There is no file missing.csv"),
        (["import", "x.csv", "--rename", "7"], "OLD=NEW"),
        (["history", "nobody"], "There is no incident 'nobody'"),
        (["assign", "--annotators", "ada", "--from", "x.txt", "--status", "triaged"], "not both"),
    ],
)
def test_a_wrong_use_ends_with_code_2_and_one_clear_message(
    triage: Run, settings: dict[str, str], arguments: list[str], told: str
) -> None:
    done = triage("annotate", *arguments, **settings)

    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_labels_of_incidents_that_are_not_there_are_told_with_their_lines(
    triage: Run, tmp_path: Path, settings: dict[str, str]
) -> None:
    (tmp_path / "a.csv").write_text("incident_id,category,annotator\nghost,operational,ada\n")
    done = triage("annotate", "import", "a.csv", "--origin", "human", **settings)

    assert done.returncode == 2
    assert "line 2, field incident_id: unknown incident 'ghost'" in " ".join(done.stderr.split())


async def test_a_correction_is_previewed_and_not_made(triage: Run, tmp_path: Path, settings: dict[str, str]) -> None:
    own_settings = Settings(model="none", data_dir=tmp_path / "own", shipped_history=False)
    async with open_components(own_settings) as components:
        records = [
            (Incident.model_validate(line), {"category": (label,)})
            for line, label in zip(LINES, ("infrastructure", "operational"), strict=True)
        ]
        await components.casebook.import_history(records, "ada", "human", team=SHARED_TEAM)
        for name in ("three", "four"):
            incident = Incident(id=name, title=f"Zone {name}", write_up=f"The core router of zone {name} fell silent.")
            await components.casebook.accept(incident)
            result, _ = await components.pipeline.run(incident, teams={"default", SHARED_TEAM})
            await components.store.triages.save(name, result)

    arguments = ["annotate", "preview", "three", "category=inference_engine"]
    shown = triage(*arguments, **settings)
    assert shown.returncode == 0, shown.stderr
    told = " ".join(shown.stdout.split())
    assert "of 1 recent incidents would get other labels" in told
    assert "The history would hold 3 incidents." in told
    assert max(map(len, shown.stdout.splitlines())) <= 100
    found = json.loads(triage(*arguments, "--json", **settings).stdout)
    assert found["labels_after"] == {"category": ["inference_engine"]}
    assert [one["incident_id"] for one in found["incidents"]] == ["four"]
    assert {change["facet"] for change in found["incidents"][0]["changes"]} >= {"category"}
    assert "Nothing of it was adjudicated" in triage("annotate", "history", "three", **settings).stdout
    wrong = triage("annotate", "preview", "three", "category", **settings)
    assert (wrong.returncode, "is not FACET=LABEL" in wrong.stderr) == (2, True)
