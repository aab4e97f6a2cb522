"""The dashboard and the alerts ask for metrics that a real service gives, and for all that matter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

DEPLOY = Path(__file__).parents[3] / "deploy"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
# Two views of one thing, or of interest only where something is wrong with kappa itself.
NOT_SHOWN = {
    "triage_live_kappa_unseen",
    "triage_live_kappa_unseen_n",
    "triage_label_drift_p",
    "triage_live_computed_seconds",
}


def expressions(found: Any) -> Iterator[str]:
    """Every PromQL expression in a document."""
    if isinstance(found, dict):
        for name, value in found.items():
            if name in ("expr", "definition") and isinstance(value, str):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(found, list):
        for each in found:
            yield from expressions(each)


def asked(document: Any) -> set[str]:
    return {name for expr in expressions(document) for name in re.findall(r"\b(?:triage|process)_\w+", expr)}


@pytest.fixture(scope="module")
def given(client: httpx.Client) -> set[str]:
    """The names of all samples that a service can give: `/metrics` tells the families and their types."""
    return {
        family.name + suffix
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for suffix in SUFFIXES.get(family.type, ("",))
        if not family.name.endswith("_created")
    }


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((DEPLOY / "grafana/triage.json").read_text())
    return read


@pytest.fixture(scope="module")
def alerts() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def test_the_dashboard_asks_only_for_what_there_is(dashboard: dict[str, Any], given: set[str]) -> None:
    assert asked(dashboard) - given == set()


def test_the_alerts_ask_only_for_what_there_is(alerts: list[dict[str, Any]], given: set[str]) -> None:
    assert asked(alerts) - given == set()
    assert all(rule["annotations"].keys() == {"summary", "description"} for rule in alerts)
    assert all(rule["labels"]["severity"] in ("warning", "critical") for rule in alerts)


def test_every_metric_of_ours_is_on_the_dashboard(dashboard: dict[str, Any], given: set[str]) -> None:
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in given if name.startswith("triage_")}
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked(dashboard)}

    assert families - shown == NOT_SHOWN


def test_the_dashboard_can_be_imported_anywhere(dashboard: dict[str, Any]) -> None:
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    rows = [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"]
    ids = [panel["id"] for panel in dashboard["panels"]]

    assert rows == [
        "Intake and queue",
        "Latency",
        "Outcomes",
        "Model",
        "Cost",
        "Agreement",
        "Errors and processes",
    ]
    assert len(set(ids)) == len(ids)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert {variable["name"] for variable in dashboard["templating"]["list"]} == {"datasource", "job"}
    assert "id" not in dashboard
