"""What the page of the radar tells of many incidents."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from triage.domain.taxonomy import Taxonomy
from triage.insights.radar import Radar
from triage.insights.radar.findings import IllFitting, Reason
from triage.server.web.rendering import _environment
from triage.server.web.visit import LISTED


@pytest.mark.parametrize(("n", "is_told"), [(LISTED, False), (LISTED + 20, True)])
def test_where_not_all_that_fit_ill_are_listed_it_is_told_how_many_there_are(n: int, is_told: bool) -> None:
    now, why = datetime.now(UTC), (Reason(kind="abstained", detail="Not sure enough."),)
    ill = tuple(IllFitting(incident_id=f"inc-{i}", title="", seen_at=now, reasons=why) for i in range(n))
    found = Radar(taxonomy="llm_inference", facet="category", recent=n, labelled=9, ill_fitting=ill, groups=())
    facet = Taxonomy.load("llm_inference").facet("category")
    page = (
        _environment()
        .get_template("_radar.html")
        .render(found=found, facet=facet, at=now, listed=LISTED, visible={one.incident_id for one in ill})
    )
    assert page.count('<a href="/incidents/inc-') == LISTED
    told = f"The newest {LISTED} of {n} incidents: <code>GET /v1/radar?facet=category</code> tells of all."
    assert (told in page) == is_told
