"""Who may do what on the pages Queue and Label: scopes of keys, and teams kept apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from triage.domain.principal import Scope

from .conftest import Site, make_key, site
from .filled import fill
from .test_login import sign_in

pytestmark = pytest.mark.slow

PAGES = ("/queue", "/queue?tab=disagreed", "/queue?tab=untriaged", "/queue/counts", "/label", "/label/adjudicate")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("access"), auth="on", shipped_history=False) as made:
        for team in ("payments", "billing"):
            fill(made, f"{team}:new-1", f"{team}:apart-1", f"{team}:failed-1", team=team)
        yield made


def test_a_team_sees_and_changes_its_own_incidents_alone(service: Site) -> None:
    key = make_key(service, "admin", teams=["payments"])
    with closing(sign_in(service, key.text)) as client:
        for path in PAGES:
            text = client.get(path, follow_redirects=True).text
            assert "billing" not in text, path
        assert "payments:new-1" in client.get("/queue").text
        assert "payments:apart-1" in client.get("/queue?tab=disagreed").text
        # The name of the key is the annotator's, where no other was said.
        assert 'value="ada"' in client.get("/queue").text

        for action in ("confirm", "retry", "assign"):
            form = {"incident": ["payments:new-1", "billing:new-1"], "annotators": "max"}
            refused = client.post(f"/queue/{action}", data=form)
            assert refused.status_code == 404
            assert "There is no incident &#39;billing:new-1&#39;" in refused.text
        for path in ("/label/incidents/billing:new-1", "/label/adjudicate/incidents/billing:apart-1"):
            foreign, unknown = client.get(path), client.get(path.replace("billing", "nobody"))
            assert (foreign.status_code, unknown.status_code) == (404, 404)
        assert "billing" not in client.get("/label/adjudicate?settled=billing:apart-1&facet=category").text

        drawn = client.post("/label/assign", data={"annotators": "max, eve", "pile": "all"})
        assert "3 incidents assigned" in drawn.text
        told = client.get("/label/progress", headers={"hx-request": "true"}).text
        assert "max" in told
        assert "billing" not in told
        agreed = client.post("/label/progress/agreed")
        assert agreed.status_code == 200


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (("read",), {"/queue": 200, "/label": 403, "/queue/confirm": 403, "/queue/retry": 403, "/label/assign": 403}),
        (("triage",), {"/queue": 403, "/label": 403, "/queue/confirm": 403, "/queue/retry": 422}),
        (("annotate",), {"/queue": 403, "/label": 200, "/queue/confirm": 422, "/queue/retry": 403}),
    ],
)
def test_each_action_needs_its_scope(service: Site, scopes: tuple[Scope, ...], allowed: dict[str, int]) -> None:
    with closing(sign_in(service, make_key(service, *scopes).text)) as client:
        for path, status in allowed.items():
            is_action = path.count("/") > 1 and path != "/label/assign"
            answer = client.post(path, data={"annotator": "ada"}) if is_action else client.get(path)
            assert answer.status_code == status, path


def test_who_may_not_read_is_shown_nothing_that_others_gave(service: Site) -> None:
    fill(service, "default:seen-1", "default:worse-1")
    reader = sign_in(service, make_key(service, "read").text)
    with closing(reader), closing(sign_in(service, make_key(service, "triage", "annotate").text)) as client:
        assert "Uplinks lost" in reader.get("/").text
        client.headers["origin"] = service.url
        chosen = {"incident": "default:worse-1"}
        done = {
            "/queue/confirm": (
                chosen | {"shown": "default:worse-1", "annotator": "ada"},
                200,
                "ada confirmed 6 labels of 1 incident.",
            ),
            "/queue/assign": (chosen | {"annotators": "max"}, 200, "max has 1 incident more to label."),
            "/queue/retry": (chosen, 200, "1 incident will be triaged again."),
            "/": ({"write_up": " "}, 422, "There is no write-up"),
            "/incidents/default:seen-1/labels": ({"pick": "severity:low"}, 403, "a key with scope &#39;read&#39;"),
        }
        for path, (form, status, told) in done.items():
            for how in ({}, {"hx-request": "true"}):
                answer = client.post(path, data=form, headers=how)
                assert answer.status_code == status, (path, answer.text)
                assert how or told in answer.text, (path, answer.text)
                assert not re.search("Uplinks lost|Infrastructure|seen-1", answer.text), path


def test_who_may_only_read_is_offered_nothing_else(service: Site) -> None:
    with closing(sign_in(service, make_key(service, "read").text)) as client:
        text = client.get("/queue").text
        assert "Confirm the model" not in text
        assert "Assign" not in text
        assert "Triage again" not in client.get("/queue?tab=untriaged").text
        assert 'href="/label"' not in text
