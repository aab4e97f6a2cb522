"""What people see when a page fails: words, and never the inside of the service."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tests.parts import HashingEmbedder, KeywordPipeline, app_without_model, served
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.redaction import Redactor
from triage.server.jobs import Jobs
from triage.server.web import add_pages
from triage.store import Store

PART = {"HX-Request": "true"}


@contextmanager
def pages(database: Path) -> Iterator[httpx.Client]:
    """The pages over a database that nobody made."""

    @asynccontextmanager
    async def no_work(_app: FastAPI) -> AsyncIterator[None]:
        yield

    taxonomy = Taxonomy.load("llm_inference")
    store = Store(f"sqlite:///{database}")
    history = ChromaHistory.open(None, "hashing-64")
    jobs = Jobs(store, KeywordPipeline(taxonomy), f"sqlite:///{database.parent / 'jobs.db'}")
    casebook = Casebook(store, history, Redactor(), HashingEmbedder(), taxonomy)
    app = add_pages(app_without_model(casebook, store, jobs, taxonomies={taxonomy.id: taxonomy}, lifespan=no_work))
    with served(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client
    history.close()


def test_a_database_that_is_away_is_told_as_a_page_and_as_a_notice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pages(tmp_path / "unmounted" / "triage.db") as client, caplog.at_level(logging.ERROR, "triage"):
        page, part = client.get("/queue"), client.get("/queue", headers=PART)
    for answer in (page, part):
        assert answer.status_code == 503
        assert answer.headers["content-type"].startswith("text/html")
        assert "The database can&#39;t be reached at the moment:" in answer.text
    assert "<h1>The database is unavailable</h1>" in page.text
    assert part.text.startswith('<div class="notice bad"')
    assert "GET /queue: The database can't be reached" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_defect_is_told_as_a_page_and_its_reason_stays_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pages(tmp_path / "empty.db") as client, caplog.at_level(logging.ERROR, "triage"):
        page, part = client.get("/queue"), client.get("/queue", headers=PART)
    for answer in (page, part):
        assert answer.status_code == 500
        assert "The service failed on this request: try again" in answer.text
        assert "no such table" not in answer.text
    assert "<h1>Internal Server Error</h1>" in page.text
    assert part.text.startswith('<div class="notice bad"')
    assert "no such table" in caplog.text


def test_a_client_knows_that_a_defect_of_the_api_ends_its_connection(tmp_path: Path) -> None:
    with pages(tmp_path / "empty.db") as client:
        for _ in range(20):
            failed = client.get("/v1/incidents")
            assert (failed.status_code, failed.headers["connection"]) == (500, "close")
            # Sent on the same connection, which the server closes now, this would be lost.
            assert client.get("/healthz").status_code == 200


def test_a_form_of_another_kind_is_refused_in_words(tmp_path: Path) -> None:
    damaged = {"Content-Type": "multipart/form-data"}
    with pages(tmp_path / "empty.db") as client:
        answer = client.post("/settings/annotator", content=b"name=kay", headers=damaged | PART)
    assert answer.status_code == 415
    assert answer.text.startswith('<div class="notice bad"')
