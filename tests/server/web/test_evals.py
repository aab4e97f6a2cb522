"""The page Evals: the runs there are, one of them down to its cases, and several side by side."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.evaluation.reports.conftest import SECRET, show
from triage.evaluation import Run, summarise, write_summary

from .conftest import OpenPage, Site, check_readable, picture, site

pytestmark = pytest.mark.slow

RUN, BASE, THIRD = "wild-1aaa", "wild-2bbb", "wild-3ccc"


def make(folder: Path, seed: int, into: Path) -> None:
    """A finished run of the wild suite, as `triage eval run` leaves it."""
    shown = show(folder, count=24, seed=seed)
    shutil.copytree(shown.run.folder, into)
    write_summary(summarise(Run.read(into), shown.taxonomy), into)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service whose folder holds three runs with everything that is hard to show, an unfinished and a broken one."""
    made = tmp_path_factory.mktemp("made")
    with site(tmp_path_factory.mktemp("site")) as opened:
        # The suite is run on a loop of its own, and beside a browser this thread has one already.
        with ThreadPoolExecutor(1) as pool:
            for seed, name in enumerate((RUN, BASE, THIRD), start=1):
                pool.submit(make, made / name, seed, opened.settings.runs / name).result()
        info = opened.settings.runs / BASE / "run.json"
        info.write_text(json.dumps(json.loads(info.read_text()) | {"started_at": "2026-01-01T00:00:00Z"}))
        (opened.settings.runs / "tags.json").write_text(json.dumps({"main": {"wild": BASE}}))
        shutil.copytree(opened.settings.runs / THIRD, opened.settings.runs / "wild-4ddd")
        (opened.settings.runs / "wild-4ddd" / "summary.json").unlink()
        (opened.settings.runs / "broken").mkdir()
        (opened.settings.runs / "broken" / "run.json").write_text("{")
        # What is measured and drawn once is at hand for the tests that don't ask for it, and a library is loaded.
        assert opened.client.get(f"/evals/runs/{RUN}?whole=true&facet=part").status_code == 200
        yield opened


@pytest.mark.parametrize(("size", "scheme"), [("desk", "light"), ("phone", "dark")])
def test_runs_are_listed_with_their_verdict_and_what_is_broken_is_told(
    open_page: OpenPage, size: str, scheme: str
) -> None:
    page = open_page("/evals", size, color_scheme=scheme)
    rows = page.locator("tbody tr")
    assert rows.count() == 4
    last = rows.last
    assert BASE in last.inner_text()
    assert "main" in last.inner_text()
    assert "not finished" in page.locator("tr", has_text="wild-4ddd").inner_text()
    assert "broken is left out: its run.json is damaged" in page.locator(".notice").inner_text()
    row = page.locator("tr", has_text=RUN)
    row.locator("td .tag", has_text="of 3 failed").wait_for(timeout=60_000)
    assert re.search(r"cause 0\.\d\d 0\.\d\d to 0\.\d\d", row.inner_text())
    check_readable(page)
    picture(page, f"evals-{size}-{scheme}")


def test_a_run_opens_by_itself_and_a_count_leads_to_its_cases_and_a_case(open_page: OpenPage) -> None:
    page = open_page("/evals")
    page.get_by_role("link", name=RUN).click()
    page.get_by_role("heading", name="Metrics").wait_for()
    assert "Gates not met." in page.locator("main .notice").inner_text()
    check_readable(page)
    picture(page, "evals-run")
    page.get_by_role("link", name="Part", exact=True).click()
    page.get_by_role("heading", name="Part", exact=True).wait_for()
    assert page.locator("svg.plot").count() == 2
    check_readable(page)
    picture(page, "evals-facet")
    cell = page.locator(".matrix td.miss a").first
    n = int(re.findall(r"\d+", cell.inner_text())[0])
    cell.click()
    page.wait_for_url("**/cases?**")
    rows = page.locator("tbody tr")
    assert rows.count() == n
    check_readable(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/case?**")
    assert page.locator("mark").first.inner_text() == "switch in hall"
    assert "evidence: " in page.locator(".write-up").inner_text()
    assert "Neighbours of case-" in page.locator(".worst").inner_text()
    check_readable(page)
    picture(page, "evals-case")


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("desk", "dark")])
def test_the_worst_cases_tell_what_was_said_and_why(open_page: OpenPage, size: str, scheme: str) -> None:
    page = open_page(f"/evals/runs/{RUN}/worst", size, color_scheme=scheme)
    assert page.locator("article").count() > 5
    text = page.locator("main").inner_text()
    assert "<script>alert(1)</script>" in text
    assert SECRET not in text
    check_readable(page)
    picture(page, f"evals-worst-{size}-{scheme}")


def test_runs_that_are_ticked_are_compared_and_the_base_can_be_changed(open_page: OpenPage) -> None:
    page = open_page("/evals")
    for name in (RUN, BASE):
        page.get_by_label(f"Compare {name}").check()
    page.keyboard.press("c")
    page.get_by_role("heading", name=f"{RUN} against {BASE}").wait_for(timeout=60_000)
    text = page.locator("main").inner_text()
    assert "cases that both runs finished" in text
    assert "McNemar" in text
    check_readable(page)
    picture(page, "evals-compare")
    page.get_by_label("Base", exact=True).select_option(RUN)
    page.get_by_role("heading", name=f"{BASE} against {RUN}").wait_for(timeout=60_000)
    page.locator(".changes .case a").first.click()
    page.wait_for_url(f"**/evals/runs/{BASE}/case?**")


def test_a_run_is_there_without_scripts(open_page: OpenPage) -> None:
    page = open_page(f"/evals/runs/{THIRD}", java_script_enabled=False)
    if page.get_by_role("link", name="Show the run").count():
        page.get_by_role("link", name="Show the run").click(timeout=60_000)
    assert page.get_by_role("heading", name="Metrics").count() == 1
    page.get_by_role("link", name="Provenance").click()
    assert "SHA-256" in page.locator("main").inner_text()


def test_the_whole_report_and_every_table_and_plot_are_files(service: Site) -> None:
    def file(path: str) -> str:
        answer = service.client.get(path)
        assert answer.status_code == 200, answer.text
        assert "attachment" in answer.headers["content-disposition"]
        return answer.text

    report = service.client.get(f"/evals/runs/{RUN}/report.html")
    assert report.text.startswith("<!doctype html>")
    assert report.headers["content-disposition"] == f'attachment; filename="{RUN}-report.html"'
    assert report.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert json.loads(file(f"/evals/runs/{RUN}/report.json"))["run"] == RUN
    assert file(f"/evals/runs/{RUN}/report.md").startswith("## triage eval: wild")
    cases = list(csv.DictReader(io.StringIO(file(f"/evals/runs/{RUN}/all-cases.csv"))))
    assert {row["case"] for row in cases} == {f"case-{n}" for n in range(24)}
    for path in ("/evals", f"/evals/runs/{RUN}?whole=true", f"/evals/runs/{RUN}?whole=true&facet=part"):
        page = service.client.get(path).text
        links = re.findall(r'href="([^"]+)" download', page)
        assert len(links) > 1
        for link in links:
            file(link.replace("&amp;", "&"))
    page = service.client.get(f"/evals/compare?run={RUN}&run={BASE}&run={THIRD}").text
    assert "2 runs are compared with one base" in page
    links = re.findall(r'href="([^"]+)" download', page)
    assert len({link.partition("?")[0] for link in links}) >= 6
    for link in links:
        file(link.replace("&amp;", "&"))
    runs = list(csv.DictReader(io.StringIO(file("/evals/runs.csv"))))
    assert {row["run"] for row in runs} == {RUN, BASE, THIRD, "wild-4ddd"}


def test_only_what_is_listed_is_opened(service: Site) -> None:
    asked = ["/evals/runs/nothing", "/evals/runs/%252e%252e", "/evals/runs/broken", "/evals/runs/wild"]
    asked += [f"/evals/runs/{RUN}?whole=true&facet=colour", f"/evals/runs/{RUN}/tables/none.csv"]
    asked += [f"/evals/runs/{RUN}/plots/none.svg", f"/evals/runs/{RUN}/case?id=../../etc/passwd"]
    asked += [f"/evals/runs/{RUN}/cases?facet=cause&gold=none&predicted=none", "/evals/runs/..%2f..%2fetc%2fpasswd"]
    asked += [f"/evals/compare?run={RUN}&run=nothing", f"/evals/runs/{RUN}/cases.csv?facet=none&gold=a"]
    for path in asked:
        assert service.client.get(path, headers={"accept": "text/html"}).status_code == 404, path
    assert service.client.get(f"/evals/compare?run={RUN}").status_code == 422
    assert service.client.get(f"/evals/runs/{RUN}/report.exe").status_code == 422
    verdict = service.client.get("/evals/runs/broken/verdict")
    assert "its run.json is damaged" in verdict.text


def test_a_damaged_journal_is_told_in_its_place(service: Site) -> None:
    folder: Path = service.settings.runs / "wild-5eee"
    shutil.copytree(service.settings.runs / THIRD, folder)
    with (folder / "cases.jsonl").open("a") as file:
        file.write("{}\n")
    try:
        page = service.client.get("/evals/runs/wild-5eee?whole=true")
        assert page.status_code == 422
        assert "delete this line" in page.text
        assert "delete this line" in service.client.get("/evals/runs/wild-5eee/verdict").text
        assert service.client.get("/evals").status_code == 200
    finally:
        shutil.rmtree(folder)


def test_a_case_that_is_an_incident_here_leads_to_it(service: Site) -> None:
    path = f"/evals/runs/{RUN}/case?id=case-3"
    assert "This incident in the service" not in service.client.get(path).text
    answer = service.client.post("/v1/incidents", json={"id": "case-3", "write_up": "The switch broke."})
    assert answer.status_code == 202
    assert '<a href="/incidents/case-3">This incident in the service</a>' in service.client.get(path).text
