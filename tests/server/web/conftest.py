"""The pages as people see them: the whole service behind a socket, and Chromium before it."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx
import pytest
import uvicorn

from tests.fake_openai import FakeOpenAI
from tests.fixtures_browser import SIZES, check_accessible
from tests.templates import copy_template
from triage.app.serving import open_app
from triage.app.settings import Settings
from triage.domain.principal import Scope
from triage.store import Store
from triage.store.keys import MadeKey

SCREENSHOTS = os.environ.get("TRIAGE_SCREENSHOTS")
"""A folder for pictures of what the tests see, to be looked at; without it none are made."""

OpenPage = Callable[..., Any]
T = TypeVar("T")


class Site(NamedTuple):
    """A service with its pages, the model behind it, and a client of its API."""

    url: str
    client: httpx.Client
    fake: FakeOpenAI
    settings: Settings

    def post(self, write_up: str, **more: Any) -> str:
        """Have a write-up triaged; returns the incident's id."""
        headers = {"prefer": "wait=30"}
        answer = self.client.post("/v1/incidents", json={"write_up": write_up} | more, headers=headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["incident_id"])


@contextmanager
def site(folder: Path, *, with_template: bool = True, **settings: Any) -> Iterator[Site]:
    """Serve a new service from `folder`: model and embedder answer at once, all else is as in production.

    The shipped history is copied from where a service has imported it already, unless that is not wanted.
    """
    # Held from here on: a port that was only looked for may be taken by whoever connects somewhere meanwhile.
    with FakeOpenAI() as fake, socket.create_server(("127.0.0.1", 0)) as listening:
        chosen: dict[str, Any] = {
            "data_dir": folder / "data",
            "runs": folder / "runs",
            "model": "any-model",
            "base_url": fake.base_url,
            "api_key": "model-key",
            "embedding_model": "any-embedder",
            "embedding_base_url": fake.base_url,
            "live_refresh_s": 0,
            "port": listening.getsockname()[1],
            "_env_file": None,
        } | settings
        told = Settings(**chosen)
        if told.shipped_history and with_template:
            copy_template("site", _import_shipped, folder.parent, told.data_dir)
        with _serving(told, listening) as url, httpx.Client(base_url=url, timeout=60) as client:
            yield Site(url, client, fake, told)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One service with the shipped history and no keys, for all tests of a file."""
    with site(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture
def open_page(browser: Any, service: Site) -> Iterator[OpenPage]:
    """Opens a path of the service: `open_page("/queue", "phone", color_scheme="dark")`.

    What the page asks elsewhere, what its policy forbids and what its script fails at makes the test fail at the end.
    """
    contexts: list[Any] = []
    wrong: list[str] = []

    def open_(path: str = "/", size: str = "desk", *, at: Site = service, **options: Any) -> Any:
        context = browser.new_context(viewport=SIZES[size], base_url=at.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        page.on("console", lambda message: wrong.append(message.text) if _is_wrong(message) else None)
        page.on("request", lambda request: wrong.append(request.url) if _is_elsewhere(request.url, at.url) else None)
        page.goto(path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def check_readable(page: Any) -> None:
    """Everyone can read it: axe finds nothing, and nothing but what scrolls by itself is wider than the screen."""
    check_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def picture(page: Any, name: str) -> None:
    """Keep a picture of the whole page where pictures are wanted."""
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        # Hiding the caret would need an inline style, which the policy forbids.
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"), full_page=True, caret="initial")


def elsewhere(work: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns, run in another thread: beside a browser the test's own has a loop already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def in_store(service: Site, do: Callable[[Store], Awaitable[T]]) -> T:
    """What `do` returns, given the store of the service, as another process would open it."""

    async def work() -> T:
        store = Store(service.settings.sql_url)
        try:
            return await do(store)
        finally:
            await store.close()

    return elsewhere(work())


def make_key(service: Site, *scopes: Scope, name: str = "ada", **options: Any) -> MadeKey:
    """A new key of the service."""
    return in_store(service, lambda store: store.keys.create(name, scopes, **options))


def key_of(service: Site, *scopes: Scope, name: str = "reader", teams: Sequence[str] | None = None) -> dict[str, str]:
    """The headers with a new key; with scope `read` unless others are named."""
    return {"x-api-key": make_key(service, *(scopes or ("read",)), name=name, teams=teams).text}


def _import_shipped(folder: Path) -> None:
    with site(folder, with_template=False):
        pass
    for path in (folder / "data").iterdir():
        path.rename(folder / path.name)
    (folder / "data").rmdir()


@contextmanager
def _serving(settings: Settings, listening: socket.socket) -> Iterator[str]:
    """The app in a loop of its own thread, on which everything behind it runs too."""
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        async with open_app(settings) as app:
            server = uvicorn.Server(
                uvicorn.Config(app, host="127.0.0.1", port=settings.port, log_level="warning", timeout_keep_alive=75)
            )
            servers.append(server)
            await server.serve(sockets=[listening])

    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(asyncio.run, serve())
        while not (servers and servers[0].started) and not serving.done():
            time.sleep(0.01)
        if serving.done():
            serving.result()
        try:
            yield f"http://127.0.0.1:{settings.port}"
        finally:
            servers[0].should_exit = True
            serving.result(20)


def _is_wrong(message: Any) -> bool:
    # A status that is an error is told by the browser and by htmx too; what the page makes of it the tests look at.
    # That a request was given up for a later one is no error, though htmx calls it so; one that failed it tells apart.
    told = message.text.startswith(
        ("Failed to load resource", "Response Status Error Code", "htmx:afterRequest", "htmx:sendAbort")
    )
    return message.type in {"error", "warning"} and not told


def _is_elsewhere(url: str, base: str) -> bool:
    return not url.startswith((f"{base}/", "data:", "blob:"))
