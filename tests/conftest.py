"""Fixtures for all tests, and their order."""

import os

import pytest

# A second thread of linear algebra waits for a core that the other tests have: some tests would take ten times as long.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

pytest_plugins = [
    "pytester",
    "tests.fixtures_browser",
    "tests.fixtures_llm",
    "tests.fixtures_postgres",
    "tests.fixtures_store",
]

# Files whose tests take longest begin first: what is left at the end would keep one process busy and the others idle.
_LONGEST = (
    "test_topology",
    "test_local_triage",
    "test_serving",
    "cli/test_commands",
    "web/test_incident.py",
    "web/test_label.py",
    "web/test_pages",
    "test_contract_fuzz",
    "study/test_change_points",
    "test_local_model",
    "test_interrupt",
    "tests/server/web/",
    "in_browser",
    "study/test_study",
    "test_pipeline",
    "test_indexing",
    "test_secrets",
    "test_trouble",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; all else keeps its order."""

    def place(item: pytest.Item) -> int:
        return next((n for n, name in enumerate(_LONGEST) if name in item.path.as_posix()), len(_LONGEST))

    items.sort(key=place)
