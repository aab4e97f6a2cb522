"""Files that pages offer: named so that every disk takes the name, and of no effect should a browser show them."""

from __future__ import annotations

import asyncio

import pytest

from triage.domain.errors import NotFound
from triage.render.charts import Share, shares_chart
from triage.render.tables import Column, Row, Table
from triage.server.web.downloads import attachment, chart_file, find_table, table_file

TABLE = Table("kinds", "Kinds", "", (Column("kind"),), (Row(("=1",)),))
CHART = shares_chart("kinds", "Kinds", "", [Share("power", 0.5, (0.4, 0.6))])


@pytest.mark.parametrize(
    ("file", "name", "kind"),
    [
        (attachment("a", "text/plain", 'pd:a/../"\r\nX: 1.md'), "pd-a-..----X--1.md", "text/plain; charset=utf-8"),
        (table_file(TABLE, "csv"), "kinds.csv", "text/csv; charset=utf-8"),
        (table_file(TABLE, "json", "pd:a"), "pd-a-kinds.json", "application/json"),
        (asyncio.run(chart_file([CHART], "kinds", "dark", "svg")), "kinds-dark.svg", "image/svg+xml"),
        (asyncio.run(chart_file([CHART], "kinds", "light", "png")), "kinds-light.png", "image/png"),
    ],
)
def test_a_file_has_a_plain_name_and_may_do_nothing_in_a_browser(file, name: str, kind: str) -> None:
    assert file.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert file.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert file.headers["content-type"] == kind


def test_what_is_not_there_is_told_by_its_name() -> None:
    assert find_table([TABLE], "kinds") is TABLE
    with pytest.raises(NotFound, match="'nothing'"):
        find_table([TABLE], "nothing")
    with pytest.raises(NotFound, match="'nothing'"):
        asyncio.run(chart_file([CHART], "nothing", "light", "svg"))
