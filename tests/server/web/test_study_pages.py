"""What the history teaches, as pages: the ledger, playbooks and the checklist."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterator

import pytest

from .conftest import OpenPage, Site, check_readable, key_of, picture, site

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), auth="on") as made:
        yield made


@pytest.fixture(scope="module")
def reader(service: Site) -> dict[str, str]:
    return key_of(service)


def test_the_ledger_of_a_kind_leads_to_the_incidents_behind_it(
    open_page: OpenPage, service: Site, reader: dict[str, str]
) -> None:
    page = open_page("/study/ledger", extra_http_headers=reader)
    page.get_by_label("Category").select_option("infrastructure")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**category=infrastructure**")
    table = page.get_by_role("region")
    row = table.locator("tbody tr").first
    tried = int(row.locator("td").first.inner_text())
    row.locator("summary").click()
    assert row.locator("li a").count() == tried
    check_readable(page)
    picture(page, "ledger")

    answer = service.client.get("/study/ledger.csv", params={"category": "infrastructure"}, headers=reader)
    first = next(csv.DictReader(io.StringIO(answer.text)))
    assert int(first["tried"]) == tried
    assert len(first["incident_ids"].split(";")) == tried


def test_a_kind_without_incidents_says_so(service: Site, reader: dict[str, str]) -> None:
    page = service.client.get("/study/ledger", params={"severity": "nothing has this"}, headers=reader).text
    assert "The history has no incident of this kind." in page
    wrong = service.client.get("/study/ledger", params={"category": "nothing"}, headers=reader)
    assert wrong.status_code == 422


@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desk", "light")])
def test_candidates_for_playbooks_stand_with_their_figures(
    open_page: OpenPage, service: Site, reader: dict[str, str], size: str, scheme: str
) -> None:
    page = open_page("/study/playbooks", size, color_scheme=scheme, extra_http_headers=reader)
    found = service.client.get("/v1/automation", headers=reader).json()
    assert page.locator("section.card").count() == len(found["playbooks"])
    assert page.locator("#t-near-misses").count() == (1 if found["near_misses"] else 0)
    check_readable(page)
    picture(page, f"playbooks-{size}")
    rows = service.client.get("/study/playbooks.json", headers=reader).json()["rows"]
    headings = [f"{row['cells']['in incidents of']} → {row['cells']['do']}" for row in rows]
    assert page.locator("section.card h2").all_inner_texts() == headings
    assert [row["cells"]["tried"] for row in rows] == [one["tried"]["hits"] for one in found["playbooks"]]


def test_the_checklist_tells_what_is_open_and_what_comes_next(
    open_page: OpenPage, service: Site, reader: dict[str, str]
) -> None:
    page = open_page("/study/checklist", extra_http_headers=reader)
    assert page.locator("ol.steps > li").count() == 9
    assert "triage annotate assign" in page.locator("li.card", has_text="Two people labelled the same").inner_text()
    check_readable(page)
    picture(page, "checklist")
    rows = service.client.get("/study/checklist.json", headers=reader).json()["rows"]
    assert {row["cells"]["state"] for row in rows} == {"done", "open"}


def test_the_checklist_is_of_all_teams_and_not_for_a_key_of_one(service: Site) -> None:
    limited = key_of(service, teams=["payments"])
    assert service.client.get("/study/checklist", headers=limited).status_code == 403
    ledger = service.client.get("/study/ledger", headers=limited)
    assert ledger.status_code == 200
    assert "Checklist" not in ledger.text


def test_the_study_is_made_with_its_charts_and_files(
    open_page: OpenPage, service: Site, reader: dict[str, str]
) -> None:
    page = open_page("/study", extra_http_headers=reader)
    page.get_by_text("455 incidents, begun").wait_for(timeout=60_000)
    assert page.get_by_text("Measured 20").count() == 1
    assert page.locator("figure.chart svg").count() > 3
    # Each chart as SVG and PNG, for light and for dark paper.
    assert page.locator("a[href^='/study/plots/']").count() == 4 * page.locator("figure.chart").count()
    assert page.locator("[style]").count() == 0
    check_readable(page)
    picture(page, "study")
    answer = service.client.get("/study/tables/category.csv", headers=reader)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sum(int(row["incidents"]) for row in rows) > 100
    for kind, begins in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        chart = service.client.get(f"/study/plots/category.{kind}", params={"theme": "dark"}, headers=reader)
        assert chart.content.startswith(begins)
    assert service.client.get("/study/study.json", headers=reader).json()["n"] == 455
    assert service.client.get("/study/plots/nothing.svg", headers=reader).status_code == 404


def test_the_study_of_all_teams_has_the_checklist_as_a_section(service: Site, reader: dict[str, str]) -> None:
    made = service.client.get("/study/made", headers=reader).text
    document = service.client.get("/study/study.json", headers=reader).json()
    assert "Adoption checklist" in made
    assert all(step["title"] in html.unescape(made) for step in document["checklist"]["steps"])

    limited = key_of(service, teams=["payments"])
    assert "Adoption checklist" not in service.client.get("/study/made", headers=limited).text
    assert service.client.get("/study/study.json", headers=limited).json()["checklist"] is None


def test_the_radar_says_why_it_sees_nothing_yet(open_page: OpenPage, service: Site, reader: dict[str, str]) -> None:
    page = open_page("/study/radar", "phone", color_scheme="dark", extra_http_headers=reader)
    page.get_by_text("compared with").wait_for(timeout=60_000)
    check_readable(page)
    picture(page, "radar")
    found = service.client.get("/v1/radar", headers=reader).json()
    assert page.locator("section.card").count() == len(found["groups"])
    assert service.client.get("/study/radar.csv", headers=reader).status_code == 200
    assert service.client.get("/study/radar.yaml", headers=reader).text.startswith("# Drafts")
