"""Fixtures for all tests, and their order."""

import pytest

pytest_plugins = ["pytester", "tests.fixtures_browser", "tests.fixtures_llm", "tests.fixtures_postgres"]

# Files whose tests take longest begin first: what is left at the end would keep one process busy and the others idle.
_LONGEST = (
    "test_local_triage",
    "test_topology",
    "test_serving",
    "cli/test_commands",
    "test_local_model",
    "test_interrupt",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; all else keeps its order."""

    def place(item: pytest.Item) -> int:
        return next((n for n, name in enumerate(_LONGEST) if name in item.path.as_posix()), len(_LONGEST))

    items.sort(key=place)
