"""The HTML report: complete, harmless, traceable, the same every time."""

from __future__ import annotations

import itertools
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from triage.evaluation import Run
from triage.evaluation.reports import report_of
from triage.evaluation.reports.html import as_html, read_cases, write_html

from .conftest import HOSTILE, SECRET, Shown, show

VOID = {"meta", "link", "br"}


class Element:
    """A parsed element: what a test wants to look at."""

    def __init__(self, tag: str, attributes: dict[str, str | None], parent: Element | None) -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children: list[Element | str] = []

    def __iter__(self) -> Iterator[Element]:
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag: str) -> list[Element]:
        return [one for one in self if one.tag == tag]

    def has_class(self, name: str) -> bool:
        return name in (self.attributes.get("class") or "").split()


class Page(HTMLParser):
    """A page as elements; raises where a tag is not closed in its place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = self._open = Element("", {}, None)
        self.feed(html)
        assert self._open is self.root, f"<{self._open.tag}> is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), self._open)
        self._open.children.append(element)
        if tag not in VOID:
            self._open = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.children.append(Element(tag, dict(attrs), self._open))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self._open.tag == tag, f"</{tag}> closes <{self._open.tag}>"
        assert self._open.parent is not None
        self._open = self._open.parent

    def handle_data(self, data: str) -> None:
        self._open.children.append(data)

    def by_id(self, name: str) -> Element:
        return next(one for one in self.root if one.attributes.get("id") == name)


@pytest.fixture(scope="session")
def html(wild: Shown) -> str:
    return as_html(wild.report, wild.run, wild.taxonomy, wild.cases)


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    return Page(html)


def test_the_page_asks_for_nothing_and_runs_nothing(page: Page) -> None:
    tags = Counter(one.tag for one in page.root)
    assert not tags.keys() & {"script", "img", "iframe", "object", "embed", "form", "base", "image", "foreignobject"}
    policy = next(one for one in page.root.all("meta") if one.attributes.get("http-equiv"))
    assert (policy.attributes["content"] or "").startswith(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    )
    assert [one.attributes["href"] for one in page.root.all("link")] == ["data:,"]
    for one in page.root:
        for name, value in one.attributes.items():
            assert not name.startswith("on"), f"<{one.tag} {name}>"
            assert name not in {"src", "srcset", "action"}
            if "://" in (value or ""):
                assert (one.tag, name) == ("a", "href")
                assert one.attributes["rel"] == "noreferrer"
    style = page.root.all("style")[0].text
    assert "@import" not in style
    assert "url(" not in style


def test_hostile_texts_are_shown_and_not_obeyed(html: str, page: Page) -> None:
    text = page.root.text
    for words in HOSTILE:
        assert words in text
    assert "<script>alert" not in html
    assert not [one for one in page.root.all("b") if "Bold" in one.text]
    assert "<b>Bold & bad</b>" in text


def test_secrets_and_addresses_never_reach_the_page(html: str) -> None:
    assert SECRET not in html
    assert "jane@example.org" not in html
    assert "&lt;EMAIL_1&gt;" in html


def test_every_link_leads_somewhere_and_every_id_is_one_elements_own(page: Page) -> None:
    ids = Counter(one.attributes["id"] for one in page.root if "id" in one.attributes)
    assert [name for name, n in ids.items() if n > 1] == []
    for one in page.root:
        for name in ("href", "aria-labelledby"):
            value = one.attributes.get(name) or ""
            wanted = value.split() if name == "aria-labelledby" else [value[1:]] if value.startswith("#") else []
            assert set(wanted) <= ids.keys()
        for wanted in re.findall(r"url\(#([^)]+)\)", " ".join(v or "" for v in one.attributes.values())):
            assert wanted in ids


def test_every_count_leads_to_as_many_cases(page: Page, wild: Shown) -> None:
    cells = [one for one in page.root.all("td") if one.has_class("hit") or one.has_class("miss")]
    cells += [
        one for one in page.root.all("td") if one.text.strip().endswith((": right", ": missed", ": wrongly given"))
    ]
    assert len(cells) > 20
    for cell in cells:
        link = cell.all("a")[0]
        listed = page.by_id((link.attributes["href"] or "")[1:])
        assert len(listed.all("tr")) - 1 == int(re.findall(r"\d+", link.text)[0])
    of_causes = [cell for cell in cells if "cases-cause-" in (cell.all("a")[0].attributes["href"] or "")]
    assert sum(int(re.findall(r"\d+", cell.text)[0]) for cell in of_causes) == wild.report.summary.facets[0].n


def test_the_sections_stand_in_their_order_with_headings_that_skip_no_level(page: Page) -> None:
    headings = [one for one in page.root if re.fullmatch(r"h[1-6]", one.tag)]
    levels = [int(one.tag[1]) for one in headings]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert [one.text for one in headings if one.tag == "h2"] == [
        "Gates",
        "Metrics",
        "Facets",
        "Cost and latency",
        "Comparison with run",
        "Worst cases",
        "Provenance",
    ]
    for landmark in ("header", "nav", "main", "footer"):
        assert len(page.root.all(landmark)) == 1


def test_tables_and_pictures_can_be_read_aloud(page: Page) -> None:
    for table in page.root.all("table"):
        assert len(table.all("caption")) == 1
        assert all("scope" in one.attributes for one in table.all("th"))
    pictures = page.root.all("svg")
    assert len(pictures) > 5
    for picture in pictures:
        assert picture.attributes["role"] == "img"
        assert picture.all("title")[0].text
        if picture.has_class("plot"):
            assert picture.all("desc")[0].text


def test_the_colours_of_pictures_are_the_pages(page: Page) -> None:
    for picture in page.root.all("svg"):
        for one in (picture, *picture):
            assert "style" not in one.attributes
            used = {one.attributes.get("fill"), one.attributes.get("stroke")} - {None, "none"}
            assert all((colour or "").startswith("var(--") for colour in used)


def test_the_headline_tells_of_the_gates_and_the_comparison(page: Page, wild: Shown) -> None:
    headline = page.root.all("header")[0].text
    assert "Gates not met" in headline
    counts = Counter(gate.status for gate in wild.report.gates)
    assert counts["passed"] == counts["failed"] == 1
    assert all(f"{n} {status}" in headline for status, n in counts.items())
    assert wild.report.comparison is not None
    assert wild.report.comparison.verdict in headline
    for gate in wild.report.gates:
        assert gate.explanation in page.by_id("gates").text

    fewer = wild.report.model_copy(update={"gates": (), "comparison": None})
    text = as_html(fewer, wild.run, wild.taxonomy, wild.cases)
    assert "No gates" in text
    assert 'id="comparison"' not in text
    met = wild.report.model_copy(update={"gates": (wild.report.gates[0],)})
    assert "Gates met" in as_html(met, wild.run, wild.taxonomy, wild.cases)


def test_evidence_is_marked_where_it_stands_in_the_redacted_text(page: Page) -> None:
    marked = page.by_id("worst").all("mark")
    assert marked
    assert {one.text for one in marked} == {"switch in hall"}
    assert "evidence: Cause" in page.by_id("worst").text


def test_the_surest_mistake_comes_first(page: Page, wild: Shown) -> None:
    summaries = [one.text for one in page.by_id("worst").all("summary")]
    stated = [max(map(float, re.findall(r"predicted [^;]*?\((0\.\d+)\)", text))) for text in summaries]
    assert len(stated) > 3
    assert stated == sorted(stated, reverse=True)
    wrong = [
        record.distributions["cause"][record.predicted["cause"][0]]
        for record in wild.run.records
        if record.predicted.get("cause") and record.predicted["cause"] != record.gold["cause"]
    ]
    assert stated[0] >= round(max(wrong), 2)


def test_the_same_run_gives_the_same_page(html: str, wild: Shown) -> None:
    again = Run.read(wild.run.folder)
    assert as_html(wild.report, again, wild.taxonomy, wild.cases) == html


def test_without_the_data_the_page_says_that_the_texts_are_not_at_hand(wild: Shown, tmp_path: Path) -> None:
    written = write_html(tmp_path / "new" / "report.html", wild.report, wild.run, wild.taxonomy, with_text=False)
    html = written.read_text(encoding="utf-8")
    assert "The write-ups are not at hand" in html
    assert "took the fleet down" not in html
    assert "case-3" in html
    assert [path.name for path in written.parent.iterdir()] == ["report.html"]


def test_data_that_changed_since_the_run_is_not_taken_for_its_texts(tmp_path: Path) -> None:
    shown = show(tmp_path, count=6)
    data = tmp_path / "data.jsonl"
    data.write_text(data.read_text().replace("hall 3", "hall three"))
    assert read_cases(shown.run, shown.taxonomy) is None
    data.unlink()
    assert read_cases(shown.run, shown.taxonomy) is None


def test_a_run_in_which_all_failed_has_a_page(tmp_path: Path) -> None:
    shown = show(tmp_path, count=5, fails=True)
    page = Page(as_html(shown.report, shown.run, shown.taxonomy, shown.cases))
    text = " ".join(page.root.text.split())
    assert "0 of 5 cases done, 5 failed" in text
    assert "there is nothing to score" in text
    assert "No finished case has a gold label for it." in text
    assert "no answer in 60 s <i>for</i> case-4" in text


def test_a_run_without_cases_has_a_page(tmp_path: Path) -> None:
    shown = show(tmp_path, count=2)
    empty = shown.run.model_copy(update={"records": ()})
    shutil.copytree(shown.run.folder, tmp_path / "empty")
    (tmp_path / "empty" / "cases.jsonl").write_text("")
    empty = Run.read(tmp_path / "empty")
    page = Page(as_html(report_of(empty, shown.taxonomy), empty, shown.taxonomy, {}))
    assert "0 of 0 cases done" in page.root.text


def test_characters_that_html_can_not_hold_are_replaced(wild: Shown) -> None:
    first = wild.run.records[0].model_copy(
        update={"status": "done", "degraded": True, "degraded_reason": "a\x1bb\ud800"}
    )
    run = wild.run.model_copy(update={"records": (first, *wild.run.records[1:])})
    report = wild.report.model_copy(
        update={"summary": wild.report.summary.model_copy(update={"degraded_reasons": {"a\x1bb\ud800": 1}})}
    )
    html = as_html(report, run, wild.taxonomy, wild.cases)
    assert "a\ufffdb\ufffd" in html
    html.encode()


def test_provenance_names_what_the_run_stood_on(page: Page, wild: Shown) -> None:
    text = page.by_id("provenance").text
    identity = wild.run.info.identity
    for words in (identity.data, identity.taxonomy, identity.suite, "a model", "letters@1.0.0", "an embedder"):
        assert words in text
    assert "the model <did> not answer" in text
    assert str(wild.run.folder.parent) not in as_html(wild.report, wild.run, wild.taxonomy, None)


def test_probabilities_are_called_calibrated_only_with_a_calibrator(page: Page, wild: Shown) -> None:
    assert page.root.text.count("Not calibrated:") == 3
    records = tuple(
        record.model_copy(update={"provenance": record.provenance.model_copy(update={"calibrator": "fitted on tests"})})
        if record.provenance
        else record
        for record in wild.run.records
    )
    run = wild.run.model_copy(update={"records": records})
    html = as_html(wild.report, run, wild.taxonomy, None)
    assert "Not calibrated:" not in html
    assert "Calibrator: fitted on tests" in html


@pytest.mark.slow
def test_a_report_of_270_cases_stays_below_two_megabytes(tmp_path: Path) -> None:
    shown = show(tmp_path, count=270)
    path = write_html(tmp_path / "report.html", shown.report, shown.run, shown.taxonomy)
    assert path.stat().st_size < 2_000_000
