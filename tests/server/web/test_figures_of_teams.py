"""Agreement is that of one's own teams, and eval runs are of no team."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conftest import Site, elsewhere, key_of, site
from .labelled import LABELS, label

pytestmark = pytest.mark.slow

TEAMS = {"payments": "ada", "billing": "secretofbilling"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two teams whose incidents were labelled by one person each."""
    with site(tmp_path_factory.mktemp("teams"), auth="on", shipped_history=False) as made:
        for team, name in TEAMS.items():
            keys, gold = [f"{team}:{n}" for n in range(12)], [LABELS[n % 2] for n in range(12)]
            title = f"Outage of {team} {{key}}"
            elsewhere(label(made.settings, keys, said={name: gold}, model=gold, team=team, title=title))
        yield made


def test_teams_see_the_agreement_on_their_own_incidents_alone(service: Site) -> None:
    mine, everywhere = key_of(service, teams=["payments"]), key_of(service)
    query = "facet=category"
    cell = f"{query}&human={LABELS[0]}&model={LABELS[0]}"
    paths = ["/agreement?whole=true", f"/agreement/cases?{cell}", f"/agreement/cases.csv?{cell}"]
    paths.append(f"/agreement/tables/people-category.csv?{query}")
    for path in paths:
        asked = service.client.get(path, headers=mine)
        assert asked.status_code == 200
        assert "billing" not in asked.text, path
        assert "billing" in service.client.get(path, headers=everywhere).text, path
    assert service.client.get("/agreement").headers["location"].startswith("/login?next=")


def test_runs_are_for_keys_of_all_teams(service: Site) -> None:
    limited, unlimited = key_of(service, teams=["payments"]), key_of(service)
    for path in ("/evals", "/evals/runs.csv", "/evals/runs/a", "/evals/compare?run=a&run=b"):
        refused = service.client.get(path, headers=limited)
        assert refused.status_code == 403
        assert "This covers all teams" in refused.text
        assert service.client.get(path, headers=unlimited).status_code in (200, 404)
        assert service.client.get(path).status_code == 303
