"""The shared history on the pages of a team: it is in every figure, and only the team's own incidents are links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from .conftest import Site, key_of, site
from .triaged import LIKE_IT

pytestmark = pytest.mark.slow

PAGES = (
    "/history?k=200&facet.category=infrastructure",
    "/study/made",
    "/study/ledger?category=infrastructure",
    "/study/playbooks",
    "/study/radar/found",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("shared"), auth="on") as made:
        yield made


def linked(service: Site, path: str, key: dict[str, str]) -> set[str]:
    """The incidents that a page links."""
    answer = service.client.get(path, headers=key)
    assert answer.status_code == 200, answer.text
    return {unquote(one) for one in re.findall(r'href="/incidents/([^"/?]+)"', answer.text)}


def test_only_incidents_whose_page_may_be_seen_are_links(service: Site) -> None:
    everywhere = key_of(service)
    mine = key_of(service, "read", "triage", "annotate", teams=["payments"])
    posted = service.client.post(
        "/v1/incidents", json={"id": "own", "write_up": "A switch failed, and we moved the traffic."}, headers=mine
    )
    assert posted.status_code == 202, posted.text
    own = "payments:own"
    for facet, label in (("category", "infrastructure"), ("mitigation", "failover")):
        gold = {"facet": facet, "labels": [label], "annotator": "ada", "is_gold": True}
        kept = service.client.post(f"/v1/incidents/{own}/annotations", json=gold, headers=mine)
        assert kept.status_code == 201, kept.text

    for path in PAGES:
        assert linked(service, path, mine) <= {own}, path
    for path in PAGES[:3]:
        assert linked(service, path, mine) == {own}, path
        assert len(linked(service, path, everywhere)) > 10, path
    assert service.client.get(f"/incidents/{LIKE_IT}", headers=mine).status_code == 404
    assert LIKE_IT in service.client.get("/study/made", headers=mine).text
