from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.server.api.secured import Secured, casebook_of, secured
from triage.domain.incident import Incident
from triage.domain.principal import SHARED_TEAM

START = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Six restarts of each of two teams, and two of the shared history."""
    with secured(tmp_path_factory.mktemp("ledger")) as service:
        asyncio.run(_fill(service.database))
        yield service


async def _fill(database: str) -> None:
    async with casebook_of(database) as (casebook, _):
        for team, number in (("payments", 6), ("billing", 6), (SHARED_TEAM, 2)):
            records = [
                (
                    Incident(
                        id=f"{team}-{n}",
                        write_up=f"The {team} engine crashed and was restarted.",
                        started_at=START,
                        mitigated_at=START + timedelta(minutes=10 + n),
                        severity="SEV2",
                    ),
                    {"category": ("inference_engine",), "failure_mode": ("crash",), "mitigation": ("restart",)},
                )
                for n in range(number)
            ]
            await casebook.import_history(records, "ada", "human", team=team)


@pytest.fixture
def payments(service: Secured) -> Iterator[httpx.Client]:
    with service.client("read", teams=["payments"]) as client:
        yield client


def test_a_key_sees_its_teams_and_the_shared_history_in_the_ledger(service: Secured, payments: httpx.Client) -> None:
    asked = {"category": "inference_engine", "failure_mode": "crash", "incident_severity": "sev2"}
    mine = payments.get("/v1/ledger", params=asked).json()
    with service.client("read") as everywhere:
        everyones = everywhere.get("/v1/ledger", params=asked).json()

    assert (mine["matched"], everyones["matched"]) == (8, 14)
    entry = mine["entries"][0]
    assert (entry["mitigation"], entry["ended"]["hits"], entry["ended"]["n"]) == ("restart", 8, 8)
    assert {name.split("-")[0] for name in entry["ended_alone"]} == {"payments:payments", "shared"}
    assert entry["times"]["n"] == 8


def test_labels_of_one_facet_add_up_and_unknown_ones_are_refused(payments: httpx.Client) -> None:
    both = payments.get("/v1/ledger", params={"failure_mode": ["crash", "timeout"]}).json()
    assert (both["matched"], both["labels"]) == (8, {"failure_mode": ["crash", "timeout"]})
    assert payments.get("/v1/ledger", params={"failure_mode": "timeout"}).json()["matched"] == 0
    assert payments.get("/v1/ledger", params={"colour": "red"}).status_code == 422
    assert payments.get("/v1/ledger", params={"category": "red"}).status_code == 422


def test_a_key_sees_its_teams_and_the_shared_history_in_the_playbooks(service: Secured, payments: httpx.Client) -> None:
    mine = payments.get("/v1/automation").json()
    with service.client("read") as everywhere:
        everyones = everywhere.get("/v1/automation").json()

    assert (mine["incidents"], everyones["incidents"]) == (8, 14)
    playbook = mine["playbooks"][0]
    assert (playbook["action"], playbook["saving"]["n"]) == ("restart", 8)
    assert "billing" not in str(mine)
