"""The whole study: of the shipped history, beside the published one, as tables, CSV and a page."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures_browser import check_accessible
from tests.insights.study.conftest import TAXONOMY, by_lot, corpus, record
from triage.domain.annotation import Annotation
from triage.insights.study import Corpus, Roles, Study, StudyOptions, make_study, tables_of
from triage.insights.study.html_page import as_html, write_html
from triage.insights.study.study_charts import charts_of
from triage.render.tables import as_csv

ROLES = Roles.load(TAXONOMY)
QUICK = StudyOptions(draws=1999, resamples=100)


@pytest.fixture(scope="session")
def study(shipped: Corpus) -> Study:
    """The study of the shipped history."""
    return make_study(shipped, ROLES, QUICK)


def test_the_shipped_history_is_studied(study: Study, shipped: Corpus) -> None:
    assert study.n == len(shipped.records)
    # The datasheet's table of label counts has the same figures.
    category = next(one for one in study.distributions if one.facet == "category")
    assert {share.name: share.hits for share in category.shares} == {
        "infrastructure": 68,
        "operational": 107,
        "inference_engine": 142,
        "model_configuration": 27,
    }
    overall = next(one for one in study.durations if one.measure == "ttm" and one.facet is None)
    assert (overall.n_ended, overall.n_unknown, len(overall.ended), len(overall.unknown)) == (165, 290, 165, 290)


def test_what_can_not_be_compared_says_why(study: Study) -> None:
    beside = {one.published.id: one for one in study.comparison}
    assert beside["automated"].why_not == "280 of 455 write-ups don't tell it, so those that do are no fair sample"
    assert "two people" in (beside["kappa"].why_not or "")
    assert beside["inference_engine"].differs
    assert beside["crash"].differs
    assert beside["crash"].difference is not None
    assert {one.published.read for one in study.comparison} == {"first_hand", "second_hand"}


def test_people_who_labelled_the_same_incidents_are_compared_with_the_published_kappa() -> None:
    made = by_lot(3, 40)
    said = [
        Annotation(incident_id=one.id, facet="category", labels=one.labels["category"], annotator=name)
        for name in ("ada", "bob")
        for one in made.records
        if "category" in one.labels
    ]
    found = make_study(made._replace(annotations=tuple(said)), ROLES, QUICK)
    kappa = next(one for one in found.comparison if one.published.measure == "kappa")
    assert (kappa.own, kappa.n, kappa.why_not) == (1.0, len(said) // 2, None)


def test_every_row_of_every_table_leads_to_incidents_that_exist(study: Study, shipped: Corpus) -> None:
    known = {one.id for one in shipped.records}
    tables = tables_of(study, TAXONOMY)
    assert len({table.id for table in tables}) == len(tables)
    for table in tables:
        assert {len(row.cells) for row in table.rows} <= {len(table.columns)}
        assert {key for row in table.rows for key in row.incident_ids} <= known
        rows = list(csv.reader(io.StringIO(as_csv(table))))
        assert [row[-1] for row in rows[1:]] == [";".join(row.incident_ids) for row in table.rows]


def test_a_corpus_of_one_without_labels_or_times_is_studied(shipped: Corpus) -> None:
    made = corpus([record(1, {})])
    found = make_study(made, ROLES, QUICK)
    assert found.detection is None
    assert "Title 1" in as_html(found, made)


def test_the_json_reads_back(study: Study) -> None:
    assert Study.model_validate(json.loads(study.model_dump_json())) == study


def test_the_page_is_the_same_each_time_and_holds_no_write_up_and_no_script(study: Study, shipped: Corpus) -> None:
    page = as_html(study, shipped)
    assert page == as_html(study, shipped)
    assert "<script" not in page
    assert shipped.records[0].incident.write_up[:60] not in page


def test_the_charts_stand_beside_tables_and_tell_their_figures(study: Study, shipped: Corpus) -> None:
    tables = tables_of(study, TAXONOMY)
    beside = charts_of(study, TAXONOMY, tables)
    charts = {one.chart.id: one.chart for one in beside}
    assert len(charts) == len(beside)
    assert {one.table for one in beside} <= {table.id for table in tables}
    assert {"comparison", "category", "failure_mode-within-infrastructure", "ttm-category", "changes"} <= charts.keys()
    assert "Inference engine: 41%, 142 of 344 (interval 36% to 47%)" in charts["category"].alt
    overall = next(one for one in study.durations if one.measure == "ttm" and one.facet is None)
    assert charts["ttm-category"].alt.startswith("all incidents: ")
    assert f"n = {overall.n_ended} (interval" in charts["ttm-category"].alt
    course = study.trends[0].number
    assert course is not None
    assert len(course.levels) == 1 + len(course.changes) > 1
    assert all(f"{level.value or 0:.3g} a month" in charts["changes"].alt for level in course.levels)
    page = as_html(study, shipped)
    assert all(f'id="chart-{name}-title"' in page for name in charts)


def test_a_title_is_text_and_nothing_else() -> None:
    hostile = record(1, {"category": ("operational",)})
    hostile = hostile._replace(incident=hostile.incident.model_copy(update={"title": "<script>alert(1)</script>"}))
    made = corpus([hostile])
    assert "<script>" not in as_html(make_study(made, ROLES, QUICK), made)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_everyone_can_read_the_page(browser: Any, tmp_path: Path, width: int, scheme: Any) -> None:
    made = by_lot(1, 60)
    address = write_html(tmp_path / "study.html", make_study(made, ROLES, QUICK), made).as_uri()
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    # Some rows unfolded; axe takes long for all.
    page.evaluate("[...document.querySelectorAll('details')].slice(0, 5).forEach(one => { one.open = true })")
    check_accessible(page)
    scrolled = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert scrolled == width
    assert [url for url in asked if not url.startswith("data:")] == [address]
