"""The study over HTTP: what a key may see, bounded, and described."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tests.insights.study.conftest import record
from tests.server.api.secured import Secured, casebook_of, secured
from triage.client import Client, NotAllowed
from triage.domain.principal import SHARED_TEAM
from triage.insights.study import Study

LABELS = {"category": ("infrastructure",), "failure_mode": ("node",), "mitigation": ("restart",)}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Thirty incidents of each of two teams, and two of the shared history."""
    with secured(tmp_path_factory.mktemp("studies")) as service:
        asyncio.run(_fill(service.database))
        yield service


async def _fill(database: str) -> None:
    async with casebook_of(database) as (casebook, _):
        for team, count in (("payments", 30), ("billing", 30), (SHARED_TEAM, 2)):
            made = [
                tuple(record(n, LABELS, days=20.0 * n, ttm=10 + n, text=f"The {team} node {'abc'[n % 3]} went away."))
                for n in range(count)
            ]
            await casebook.import_history(made, "ada", "human", team=team)


@pytest.fixture
def payments(service: Secured) -> Iterator[httpx.Client]:
    with service.client("read", teams=["payments"]) as client:
        yield client


def test_a_key_has_its_teams_and_the_shared_history_studied(service: Secured, payments: httpx.Client) -> None:
    mine = payments.get("/v1/study")
    with service.client("read") as everywhere:
        everyones = everywhere.get("/v1/study").json()

    assert mine.status_code == 200, mine.text
    assert (mine.json()["n"], everyones["n"]) == (32, 62)
    assert "billing" not in mine.text
    study = Study.model_validate(mine.json())
    assert study.distributions[0].shares[0].hits == 32
    assert len(study.distributions[0].shares[0].incident_ids) == 20
    assert study.mitigation is not None
    assert study.mitigation.automatable is not None
    assert study.mitigation.automatable.share == 1
    assert study.repeats.n_compared_by_meaning == 32
    assert any(one.figure == "agreement of the labels" for one in study.missing)


def test_what_is_supposed_and_how_much_is_studied_can_be_said(payments: httpx.Client) -> None:
    asked = {"most": 10, "incidents": 0, "automated_minutes": 5, "observed_until": "2030-01-01T00:00:00Z"}
    study = payments.get("/v1/study", params=asked).json()
    assert study["n"] == 10
    assert study["notes"] == ["The newest 10 of 32 labelled incidents are studied."]
    assert study["distributions"][0]["shares"][0]["incident_ids"] == []
    assert study["mitigation"]["saved"]["minutes"] == 5
    assert study["observed_until"] == "2030-01-01T00:00:00Z"


@pytest.mark.parametrize("asked", [{"most": 0}, {"most": 10**9}, {"similarity": 2}, {"observed_until": "soon"}])
def test_what_can_not_be_is_refused(payments: httpx.Client, asked: dict[str, str]) -> None:
    assert payments.get("/v1/study", params=asked).status_code == 422


def test_the_client_has_it_studied(service: Secured) -> None:
    with Client(service.base_url, service.key("read", teams=["billing"]).text) as client:
        study = client.study(incidents=1, most=31)
    assert study["n"] == 31
    assert len(study["distributions"][0]["shares"][0]["incident_ids"]) == 1
    with Client(service.base_url, service.key("triage").text) as client, pytest.raises(NotAllowed):
        client.study()


def test_a_service_without_labels_has_an_empty_study(tmp_path_factory: pytest.TempPathFactory) -> None:
    with secured(tmp_path_factory.mktemp("empty")) as service, service.client("read") as client:
        study = client.get("/v1/study").json()
    assert (study["n"], study["distributions"], study["first"]) == (0, [], None)
    assert study["missing"]
