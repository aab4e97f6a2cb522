from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from triage.cli import app

Invoke = Callable[..., Result]


@pytest.fixture
def triage(tmp_path: Path) -> Invoke:
    """The command in this process: it starts in no time, and there is nothing about processes to test here."""

    def run(*arguments: str, stdin: str = "", **settings: str) -> Result:
        environment = {"TRIAGE_DATA_DIR": str(tmp_path), "NO_COLOR": "1"} | settings
        return CliRunner().invoke(app, arguments, input=stdin, env=environment)

    return run


def test_subscriptions_are_added_listed_tested_and_removed(triage: Invoke) -> None:
    refused = triage("subscriptions", "add", "http://10.0.0.1/hook")
    assert refused.exit_code == 2
    assert "must begin with https" in " ".join(refused.stderr.split())

    url = "http://127.0.0.1:9/hook"
    added = triage("subscriptions", "add", url, "--team", "a", "--json", TRIAGE_PRIVATE_WEBHOOKS="true")
    made = json.loads(added.stdout)
    assert made["secret"].startswith("whsec_")
    listed = triage("subscriptions", "list", "--json")
    assert [each["id"] for each in json.loads(listed.stdout)] == [made["id"]]
    assert made["secret"] not in listed.stdout

    tested = triage("subscriptions", "test", made["id"], TRIAGE_PRIVATE_WEBHOOKS="true")
    assert tested.exit_code == 1
    assert "It did not arrive" in tested.stdout
    assert triage("subscriptions", "remove", made["id"]).exit_code == 0
    assert json.loads(triage("subscriptions", "list", "--json").stdout) == []


def test_webhook_sources_are_added_with_a_url_and_removed(triage: Invoke) -> None:
    own = {"TRIAGE_PUBLIC_URL": "https://triage.example/"}
    assert "use one of alertmanager" in " ".join(triage("webhooks", "add", "pigeon", **own).stderr.split())
    made = json.loads(triage("webhooks", "add", "pagerduty", "--json", **own).stdout)
    assert made["url"] == f"https://triage.example/v1/webhooks/{made['id']}"
    assert triage("webhooks", "secret", made["id"], stdin="short\n", **own).exit_code == 2
    assert triage("webhooks", "secret", made["id"], stdin="a-long-enough-secret\n", **own).exit_code == 0
    assert made["id"] in triage("webhooks", "list", **own).stdout
    assert triage("webhooks", "remove", made["id"], **own).exit_code == 0
