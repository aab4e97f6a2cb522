"""The page Agreement: figures beside their ceiling, over time, and from each count to its incidents."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest

from triage.domain.annotation import Assignment

from .conftest import OpenPage, Site, check_readable, elsewhere, in_store, picture, site
from .filled import named
from .labelled import LABELS, label

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = LABELS[:3]
N = 30


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two people label the same thirty incidents, and a third some older ones, having seen the model's labels."""
    with site(tmp_path_factory.mktemp("site"), live_kappa_gate=0.5, live_refresh_s=3600) as made:
        gold = [(FIRST, SECOND, THIRD)[n % 3] for n in range(N)]
        model = [FIRST if n % 5 == 0 else one for n, one in enumerate(gold)]
        model[1] = ""
        people = {"ada": gold, "bo <b>": [SECOND if n % 7 == 0 else one for n, one in enumerate(gold)]}
        keys = [f"inc-{n:02}" for n in range(N)]
        title = "Outage <script>alert(1)</script> of {key} \u202e"
        elsewhere(label(made.settings, keys, said=people, model=model, saw_model=False, title=title))
        old = [f"old-{n:02}" for n in range(12)]
        elsewhere(label(made.settings, old, said={"cy": gold}, model=gold, days_ago=40, saw_model=True))
        # What was measured and drawn once is at hand for all tests, and the drawing library is loaded.
        assert made.client.get("/agreement?whole=true").status_code == 200
        yield made


def figures(page: Any) -> Any:
    page.get_by_role("heading", name="Category", exact=True).wait_for()
    return page


def overview(page: Any) -> str:
    text: str = page.locator("tr", has=page.get_by_role("link", name="Category", exact=True)).inner_text()
    return " ".join(text.split())


@pytest.mark.parametrize(("size", "scheme"), [("desk", "light"), ("phone", "dark")])
def test_the_model_stands_beside_what_people_reach(open_page: OpenPage, size: str, scheme: str) -> None:
    page = figures(open_page("/agreement", size, color_scheme=scheme))
    told = overview(page)
    assert "72 labels" in told
    assert "30 incidents" in told
    assert "60 labels" in told  # of people who had not seen the model's
    assert "42 of 42" in told
    assert "gate 0.50" in told
    section = page.locator("#facet").inner_text()
    assert "The model abstained in 2 of 72 cases" in section
    assert "people among themselves at 0." in section
    assert page.locator("svg.plot:visible").count() == 2
    check_readable(page)
    picture(page, f"agreement-{size}-{scheme}")


def test_a_count_leads_to_its_incidents_and_on_to_the_incidents_page(open_page: OpenPage) -> None:
    page = figures(open_page("/agreement"))
    cell = page.locator(".matrix td.miss a").first
    n = int(re.findall(r"\d+", cell.inner_text())[0])
    cell.click()
    page.wait_for_url("**/agreement/cases?**")
    rows = page.locator("tbody tr")
    assert rows.count() == n
    assert "<script>alert(1)</script>" in rows.first.inner_text()
    check_readable(page)
    picture(page, "agreement-cases")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/incidents/inc-**")
    assert "Outage <script>" in page.locator("h1").inner_text()
    page.go_back()
    page.keyboard.press("u")
    page.wait_for_url("**/agreement?**")


def test_a_label_leads_to_where_one_side_alone_gave_it(open_page: OpenPage) -> None:
    page = figures(open_page("/agreement", "phone"))
    count = page.get_by_role("link", name=re.compile("given by people alone")).first
    n = int(re.findall(r"\d+", count.inner_text())[0])
    count.click()
    page.wait_for_url("**given=people**")
    assert page.locator("tbody tr").count() == n
    check_readable(page)


def test_person_window_and_what_was_seen_narrow_the_figures_in_place(open_page: OpenPage) -> None:
    page = figures(open_page("/agreement"))
    page.get_by_label("Who had seen").select_option("unseen")
    page.wait_for_url("**people=unseen**")
    page.locator("#figures", has_text="60 labels").wait_for()
    page.get_by_label("By", exact=True).select_option("bo <b>")
    page.wait_for_url("**annotator=bo**")
    page.locator("#facet", has_text="ada").wait_for()
    assert "30 labels" in overview(page)
    page.get_by_label("Labelled in").select_option("all")
    page.wait_for_url("**days=all**")
    page.reload()
    assert page.get_by_label("Labelled in").input_value() == "all"
    assert page.get_by_label("By", exact=True).input_value() == "bo <b>"


def test_another_facet_is_chosen_from_the_keyboard_and_says_that_nobody_labelled_it(open_page: OpenPage) -> None:
    page = figures(open_page("/agreement"))
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**facet=failure_mode**")
    page.get_by_role("heading", name="Failure mode", exact=True).wait_for()
    assert "No label of a person stands beside one of the model" in page.locator("#facet").inner_text()


def test_what_has_to_be_measured_first_comes_by_itself(open_page: OpenPage) -> None:
    page = open_page("/agreement?days=365")
    page.locator("#facet").wait_for(timeout=60_000)
    assert "72 labels" in overview(page)
    assert page.url.endswith("?days=365")


def test_everything_is_there_without_scripts(open_page: OpenPage) -> None:
    page = open_page("/agreement?days=180&facet=category", java_script_enabled=False)
    page.get_by_role("link", name="Show the figures").click(timeout=60_000)
    assert "72 labels" in overview(page)
    page.locator(".matrix td.hit a").first.click()
    assert page.locator("tbody tr").count() > 0


def test_figures_and_cases_are_files_too(service: Site) -> None:
    def table(path: str) -> list[dict[str, str]]:
        answer = service.client.get(path)
        assert answer.status_code == 200, answer.text
        assert "attachment" in answer.headers["content-disposition"]
        return list(csv.DictReader(io.StringIO(answer.text)))

    (category,) = [row for row in table("/agreement/tables/agreement.csv") if row["facet"] == "category"]
    assert (category["labels"], category["labelled"], category["people"]) == ("72", "42", "3")
    query = "?facet=category"
    matrix = table(f"/agreement/tables/confusion-category.csv{query}")
    assert sum(int(value) for row in matrix for name, value in row.items() if name in {*LABELS, "(abstained)"}) == 72
    cases = table(f"/agreement/cases.csv{query}&human={SECOND}&model=(abstained)")
    assert {row["incident"] for row in cases} == {"inc-01"}
    assert cases[0]["title"].startswith("Outage <script>")
    as_json = service.client.get(f"/agreement/tables/pairs-category.json{query}").json()
    assert as_json["rows"][0]["cells"]["incidents"] == 30
    svg = service.client.get(f"/agreement/plots/model-category.svg{query}&theme=dark")
    assert svg.headers["content-type"].startswith("image/svg+xml")
    png = service.client.get(f"/agreement/plots/confusion-category.png{query}")
    assert png.content.startswith(b"\x89PNG")
    for missing in ("tables/other.csv", "plots/other.svg"):
        assert service.client.get(f"/agreement/{missing}{query}").status_code == 404


def test_cases_leave_out_what_is_to_be_labelled_blind(service: Site) -> None:
    assigned = Assignment(incident_id="inc-01", annotator="kay", facets=("category",))
    in_store(service, lambda store: store.assignments.add([assigned]))
    query = f"facet=category&human={SECOND}&model=(abstained)"
    for path in ("/agreement/cases", "/agreement/cases.csv", "/agreement/cases.json"):
        assert "inc-01" in service.client.get(f"{path}?{query}", headers=named("grace")).text
        assert "inc-01" not in service.client.get(f"{path}?{query}", headers=named("kay")).text
    # This is said of every count, so that it tells of none.
    for cell in (query, f"facet=category&human={FIRST}&model={FIRST}"):
        page = service.client.get(f"/agreement/cases?{cell}", headers=named("kay")).text
        assert "What is yours to label blind is left out." in page


def test_what_is_not_there_is_said(service: Site) -> None:
    assert service.client.get("/agreement?facet=colour").status_code == 422
    assert service.client.get("/agreement/cases?facet=category").status_code == 404
    assert service.client.get("/agreement?days=7").status_code == 422
    none = service.client.get(f"/agreement/cases?facet=category&human={FIRST}&model=no-label").text
    assert "No such case in this selection" in none
    part = service.client.get("/agreement?days=30&annotator=nobody", headers={"hx-request": "true"})
    assert part.status_code == 404
    assert "<html" not in part.text
    assert "has labelled nothing" in part.text


def test_texts_of_others_are_shown_and_not_obeyed(service: Site) -> None:
    page = service.client.get("/agreement?whole=true").text
    assert "bo &lt;b&gt;" in page
    assert "<b>" not in page
    cases = service.client.get(f"/agreement/cases?facet=category&human={FIRST}&model={FIRST}").text
    assert "<script>alert" not in cases
    assert " style=" not in page + cases
