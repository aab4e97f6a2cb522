"""The parts of a report for pages, and its tables as files."""

from __future__ import annotations

import re

import pytest

from triage.evaluation.metrics import ABSTAINED
from triage.evaluation.reports.facet_view import CaseList
from triage.evaluation.reports.html import file_of, part_of
from triage.evaluation.reports.run_view import RunView, view_run
from triage.evaluation.reports.tables import cases_table, comparison_tables, tables_of
from triage.evaluation.reports.worst_cases import told_case
from triage.render.tables import as_csv

from .conftest import HOSTILE, SECRET, Shown


class Links:
    """Where a page would lead."""

    def cases(self, of: CaseList) -> str:
        return f"/cases/{of.facet}/{of.anchor}"

    def case(self, case_id: str) -> str:
        return f"/case/{case_id}"

    def file(self, id_: str, kind: str) -> str:
        return f"/files/{id_}.{kind}"


@pytest.fixture(scope="session")
def view(wild: Shown) -> RunView:
    return view_run(wild.report, wild.run, wild.taxonomy, wild.cases)


def parts(view: RunView) -> dict[str, str]:
    links = Links()
    listed = view.facets[0].lists[0]
    found = {part: part_of(view, part, links) for part in ("gates", "metrics", "cost", "worst_cases", "provenance")}  # type: ignore[arg-type]
    for one in view.facets:
        found[f"facet-{one.facet.id}"] = part_of(view, "facet", links, view=one)
    found["cases"] = part_of(view, "cases", links, view=view.facets[0], one=listed)
    found["comparison"] = part_of(view, "comparison", links, compared=view.compared, place="compared1")
    told = told_case(view.run.records[0], [one.facet for one in view.facets])
    found["case"] = part_of(view, "case", links, case=told, is_open=True)
    return {name: str(text) for name, text in found.items()}


def test_parts_lead_where_the_page_says_and_hold_no_style(view: RunView) -> None:
    found = parts(view)
    for name, text in found.items():
        assert " style=" not in text, name
        assert "<style" not in text, name
        assert '<a href="#' not in text, name
        assert "<script>" not in text, name
        assert SECRET not in text, name
    assert '<a href="/cases/cause/cases-cause-0">' in found["facet-cause"]
    assert '<a href="/case/' in found["cases"]
    assert 'href="/files/labels-part.csv"' in found["facet-part"]
    assert 'href="/files/reliability-part.svg?theme=light"' in found["facet-part"]
    assert 'id="compared1-differences"' in found["comparison"]
    assert "The cases behind the counts" not in found["facet-cause"]


def test_the_report_in_one_file_leads_nowhere_but_into_itself(view: RunView) -> None:
    text = file_of(view)
    assert "/files/" not in text
    assert " download" not in text
    assert set(re.findall(r'href="(?!#|https://example.org|data:)([^"]*)"', text)) == set()


def test_a_case_is_told_with_all_its_answers_right_or_wrong(view: RunView) -> None:
    facets = [one.facet for one in view.facets]
    right = next(r for r in view.run.records if r.status == "done" and r.predicted["cause"] == r.gold["cause"])
    told = told_case(right, facets)
    assert not told.answers[0].is_wrong
    assert told.answers[0].confidence is None
    text = part_of(view, "case", Links(), case=told, is_open=True)
    assert "Cause: right, predicted" in text

    silent = next(r for r in view.run.records if r.status == "done" and not r.predicted["cause"])
    text = part_of(view, "case", Links(), case=told_case(silent, facets), is_open=True)
    assert f"predicted <strong>{ABSTAINED}</strong>" in text
    failed = next(r for r in view.run.records if r.status == "failed")
    assert told_case(failed, facets).answers == ()
    assert failed.case_id in part_of(view, "case", Links(), case=told_case(failed, facets), is_open=True)


def test_every_file_is_a_table_of_the_report_with_its_figures(view: RunView, wild: Shown) -> None:
    text = file_of(view)
    tables = {one.id: one for one in tables_of(view)}
    assert tables.keys() >= {
        "gates-table",
        "metrics-table",
        "matrix-cause",
        "labels-symptom",
        "bins-table-part",
        "costs",
    }
    for name in tables.keys() - {"worst"}:
        assert f'<caption id="{name}"' in text, name
    cells = [cell for row in tables["matrix-cause"].rows for cell in row.cells[1:]]
    assert sum(map(int, filter(None, cells))) == wild.report.summary.facets[0].n
    assert len({row.incident_ids for row in tables["worst"].rows}) == len(view.wrong)
    assert "'=" not in as_csv(tables["metrics-table"])

    assert wild.report.comparison is not None
    compared = {one.id: one for one in comparison_tables(wild.report.comparison)}
    for name in compared:
        assert f'<caption id="{name}"' in text, name
    changes = sum(len(one.rows) for name, one in compared.items() if "-changes-" in name)
    assert changes == len(wild.report.comparison.changes)


def test_the_cases_of_a_count_are_a_file(view: RunView) -> None:
    for one in (view.facets[0].lists[0], view.facets[2].lists[0]):
        facet = next(found for found in view.facets if found.facet.id == one.facet)
        table = cases_table(facet, one)
        assert len(table.rows) == one.n
        assert [row.incident_ids for row in table.rows] == [(case.case_id,) for case in one.cases]
        assert all(len(row.cells) == len(table.columns) for row in table.rows)


def test_titles_are_there_though_hostile(view: RunView) -> None:
    text = str(part_of(view, "worst_cases", Links()))
    assert HOSTILE[0] not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
