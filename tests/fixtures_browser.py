"""Chromium, for whatever is looked at as people see it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

SIZES = {"phone": {"width": 360, "height": 740}, "desk": {"width": 1280, "height": 900}}

# The shell is the same engine without what a window needs: a page takes a third of the processor time.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
_RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium, driven by Playwright. While it is there, the test's own thread has a loop already."""
    if _CHROMIUM is None:
        pytest.skip("there is no Chromium: install it with `apt-get install chromium-headless-shell`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's sandbox refuses to run as root, as CI does.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = playwright.chromium.launch(executable_path=_CHROMIUM, args=arguments)
        yield started
        started.close()


def check_accessible(page: Any, *without: str) -> None:
    """Axe finds nothing on the page, and looked at a good deal; `without` names rules that don't matter here."""
    from axe_playwright_python.sync_playwright import Axe

    rules = {name: {"enabled": False} for name in without}
    # Of what passes, axe would otherwise describe every element, which takes most of its time.
    options = {"runOnly": _RULES, "rules": rules, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options).response
    assert [(one["id"], one["impact"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == []
    assert len(found["passes"]) > 10
