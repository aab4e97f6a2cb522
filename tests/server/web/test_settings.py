"""The settings pages: who labels, health, taxonomies, and keys for administrators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from triage.domain.principal import Scope

from .conftest import OpenPage, Site, check_readable, key_of, picture, site

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("settings"), auth="on", shipped_history=False) as made:
        yield made


def opened(open_page: OpenPage, service: Site, path: str, *scopes: Scope, **options: Any) -> Any:
    return open_page(path, extra_http_headers=key_of(service, *scopes, name="root"), **options)


def test_health_tells_of_each_part_and_process(open_page: OpenPage, service: Site) -> None:
    page = opened(open_page, service, "/settings", "read")
    table = page.get_by_role("region", name="Parts of the service")
    table.wait_for()
    assert "database" in table.inner_text()
    assert page.get_by_role("region", name="Processes").inner_text().count("all") == 1
    assert page.get_by_role("link", name="Keys").count() == 0
    check_readable(page)
    picture(page, "settings")


def test_the_annotators_name_is_kept_in_the_browser(open_page: OpenPage, service: Site) -> None:
    page = opened(open_page, service, "/settings", "annotate", "read", size="phone", color_scheme="dark")
    field = page.get_by_label("Your name as annotator")
    assert field.input_value() == "root"
    field.fill("  Grace  Höpper ")
    page.get_by_role("button", name="Keep").click()
    page.wait_for_url("**/settings")
    assert page.get_by_label("Your name as annotator").input_value() == "Grace Höpper"
    check_readable(page)
    picture(page, "settings-phone")


def test_a_name_that_looks_like_a_models_is_refused(service: Site) -> None:
    answer = service.client.post("/settings/annotator", data={"name": "model:x@1"}, headers=key_of(service, "read"))
    assert answer.status_code == 422
    assert "are those of models: choose another" in answer.text


def test_a_key_is_made_shown_once_rotated_and_revoked(open_page: OpenPage, service: Site) -> None:
    page = opened(open_page, service, "/settings/keys", "admin")
    page.get_by_label("Name", exact=True).fill("pager <b>")
    page.get_by_label("Teams").fill("payments, billing")
    page.get_by_label("read: see").check()
    check_readable(page)
    page.get_by_role("button", name="Make key").click()
    text = page.locator("#made").inner_text().strip()
    check_readable(page)
    picture(page, "keys")
    pager = httpx.Client(base_url=service.url, headers={"x-api-key": text})
    assert pager.get("/v1/incidents").status_code == 200
    assert pager.get("/settings/keys").status_code == 403

    page.goto("/settings/keys")
    assert text not in page.content()
    row = page.locator("tr", has_text="pager <b>")
    assert "billing, payments" in row.inner_text()
    row.locator("summary").click()
    row.get_by_role("button", name="Give it a new text").click()
    newer = page.locator("#made").inner_text().strip()
    assert newer != text

    page.goto("/settings/keys")
    row.locator("summary").click()
    row.get_by_role("button", name="Revoke for good").click()
    assert "revoked" in row.inner_text()
    assert httpx.get(f"{service.url}/v1/incidents", headers={"x-api-key": newer}).status_code == 401


def test_what_is_wrong_with_a_new_key_is_told(service: Site) -> None:
    answer = service.client.post("/settings/keys", data={"name": "pager"}, headers=key_of(service, "admin"))
    assert answer.status_code == 422
    assert "scopes" in answer.text
    limited = key_of(service, "admin", teams=["payments"])
    answer = service.client.post("/settings/keys", data={"name": "x", "scopes": "read"}, headers=limited)
    assert answer.status_code == 403
    assert "for these teams only" in answer.text


def test_settings_are_for_administrators_and_hold_no_secret(service: Site) -> None:
    assert service.client.get("/settings/all", headers=key_of(service, "read")).status_code == 403
    page = service.client.get("/settings/all", headers=key_of(service, "admin")).text
    assert "TRIAGE_EMBEDDING_MODEL" in page
    assert "any-embedder" in page
    assert "model-key" not in page


def test_a_taxonomy_is_there_with_its_definitions(open_page: OpenPage, service: Site) -> None:
    page = opened(open_page, service, "/settings/taxonomies", "read")
    check_readable(page)
    card = page.locator(".card", has_text="in use")
    card.get_by_role("link").click()
    page.wait_for_url("**/settings/taxonomies/llm_inference")
    page.locator("summary", has_text="Infrastructure").first.click()
    assert page.get_by_text("Definition", exact=True).first.is_visible()
    check_readable(page)
    picture(page, "taxonomy")
    missing = service.client.get("/settings/taxonomies/nothing", headers=key_of(service, "read"))
    assert (missing.status_code, "There are: " in missing.text) == (404, True)
