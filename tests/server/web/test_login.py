"""Signing in with a key: the session that begins, what it may do, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import SimpleCookie

import httpx
import pytest

from triage.store import Store

from .conftest import OpenPage, Site, check_readable, in_store, make_key, picture, site

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("keys"), auth="on", shipped_history=False) as made:
        yield made


def sign_in(service: Site, text: str, **form: str) -> httpx.Client:
    client = httpx.Client(base_url=service.url)
    answer = client.post("/login", data={"key": text} | form)
    assert answer.status_code == 303, answer.text
    return client


def test_a_page_asks_for_a_key_and_leads_back_to_where_one_wanted_to_go(open_page: OpenPage, service: Site) -> None:
    page = open_page("/?from=chat")
    assert page.url == f"{service.url}/login?next=%2F%3Ffrom%3Dchat"
    check_readable(page)
    picture(page, "login")

    page.get_by_label("Key", exact=True).fill("triage_wrong")
    page.keyboard.press("Enter")
    assert "is not valid" in page.get_by_role("alert").inner_text()

    page.get_by_label("Key", exact=True).fill(make_key(service, "read").text)
    page.keyboard.press("Enter")
    page.wait_for_url("**/?from=chat")
    assert page.evaluate("document.cookie") == ""

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.goto("/")
    assert "/login" in page.url


def test_the_browser_keeps_a_token_and_not_the_key(service: Site) -> None:
    made = make_key(service, "read")
    client = sign_in(service, made.text)
    token = client.cookies["triage_session"]
    assert token not in made.text
    assert client.get("/").status_code == 200
    assert client.get("/v1/incidents").status_code == 200
    # A token is no key, and a key is no token.
    assert httpx.get(f"{service.url}/v1/incidents", headers={"x-api-key": token}).status_code == 401
    assert httpx.get(f"{service.url}/v1/incidents", cookies={"triage_session": made.text}).status_code == 401


def test_a_session_may_do_what_its_key_may_do(service: Site) -> None:
    reader = sign_in(service, make_key(service, "read").text)
    posted = reader.post("/v1/incidents", json={"write_up": "A switch failed."}, headers={"origin": service.url})
    assert posted.status_code == 403
    assert "scope 'triage'" in posted.json()["detail"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_another_website_can_do_nothing_with_the_session(service: Site, origin: str) -> None:
    poster = sign_in(service, make_key(service, "triage").text)
    body = {"write_up": "A switch failed."}
    assert poster.post("/v1/incidents", json=body, headers={"origin": origin}).status_code == 403
    assert poster.post("/v1/incidents", json=body, headers={"origin": service.url}).status_code < 300
    assert poster.post("/v1/incidents", json=body, headers={"sec-fetch-site": "cross-site"}).status_code == 403


@pytest.mark.parametrize("sent", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_another_website_signs_nobody_in_or_out(service: Site, sent: dict[str, str]) -> None:
    key = make_key(service, "read").text
    refused = httpx.post(f"{service.url}/login", data={"key": key}, headers=sent)
    assert (refused.status_code, refused.cookies.get("triage_session")) == (403, None)
    # The browser leaves the cookie out of what another website sends.
    refused = httpx.post(f"{service.url}/logout", headers=sent)
    assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)


def test_signing_in_is_one_of_the_requests_of_a_key(service: Site) -> None:
    made = make_key(service, "read", requests_per_minute=2)
    answers = [httpx.post(f"{service.url}/login", data={"key": made.text}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [303, 303, 429]
    assert "2 requests a minute" in answers[-1].text


@pytest.mark.parametrize(
    "path",
    [
        "/login",
        "/label/name",
        "/label/assign",
        "/queue/confirm",
        "/queue/retry",
        "/queue/assign",
        "/settings/keys",
        "/settings/annotator",
    ],
)
def test_a_form_is_bounded_before_anybody_looks_at_the_key(service: Site, path: str) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    for content, headers, status in (
        (b"name=" + b"x" * 70_000, form, 413),
        (b"&".join([b"a=b"] * 501), form, 422),
        (b"incident=a%00b", form, 422),
        (b"--x\r\n\r\n--x--", {"content-type": "multipart/form-data; boundary=x"}, 415),
    ):
        refused = httpx.post(f"{service.url}{path}", content=content, headers=headers)
        assert refused.status_code == status, refused.text
    assert httpx.post(f"{service.url}{path}", data={"name": "x" * 300}).status_code in (303, 422)
    assert httpx.post(f"{service.url}{path}").status_code in (303, 422)


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_nobody_is_led_elsewhere_after_signing_in(service: Site, wanted: str) -> None:
    made = make_key(service, "read")
    answer = httpx.post(f"{service.url}/login", data={"key": made.text, "next": wanted})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_session_ends_with_its_key(service: Site) -> None:
    made = make_key(service, "read")
    client = sign_in(service, made.text)
    assert client.get("/").status_code == 200

    async def revoke(store: Store) -> None:
        await store.keys.revoke(made.key.id)
        assert await store.sessions.find(client.cookies["triage_session"]) is None

    in_store(service, revoke)


def test_a_part_of_a_page_leads_to_signing_in_and_back_to_the_whole_page(service: Site) -> None:
    answer = httpx.get(f"{service.url}/", headers={"hx-request": "true", "hx-current-url": f"{service.url}/queue?x=1"})
    assert answer.headers["hx-redirect"] == "/login?next=%2Fqueue%3Fx%3D1"


def test_who_labels_is_known_behind_a_link_from_elsewhere_and_forgotten_after_signing_out(service: Site) -> None:
    client = sign_in(service, make_key(service, "read").text)
    client.headers["origin"] = service.url
    named = client.post("/settings/annotator", data={"name": "kay"})
    cookie = SimpleCookie(named.headers["set-cookie"])["triage_annotator"]
    # A "strict" one stays away where a link elsewhere leads here: what kay is to label blind would be shown.
    assert (cookie.value, cookie["samesite"], cookie["httponly"]) == ("kay", "lax", True)
    assert 'value="kay"' in client.get("/settings").text

    client.post("/logout")
    assert client.cookies.get("triage_annotator") is None
