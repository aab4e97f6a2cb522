"""Fixtures for all tests, and their order."""

import os

import hypothesis
import pytest

# A second thread of linear algebra waits for a core that the other tests have: some tests would take ten times as long.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# How long an example takes depends on what else the machine does: a deadline would fail tests by chance.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

pytest_plugins = [
    "pytester",
    "tests.fixtures_browser",
    "tests.fixtures_llm",
    "tests.fixtures_postgres",
    "tests.fixtures_store",
]

# Files whose tests take longest begin first: what is left at the end would keep one process busy and the others idle.
_LONGEST = (
    "api/test_contract_fuzz",
    "system/test_topology",
    "cli/test_commands",
    "system/test_local_triage",
    "app/test_serving",
    "web/test_incident.py",
    "web/test_pages",
    "web/test_evals",
    "study/test_study",
    "history/test_indexing",
    "cli/annotate/test_commands",
    "store/test_store",
    "web/test_study_pages",
    "web/test_label.py",
    "tests/server/web/",
    "preview/test_preview",
    "system/test_side_by_side",
    "reports/test_html_in_browser",
    "charts/test_in_browser",
    "evaluation/test_action",
    "system/test_traces",
    "cli/test_index",
    "store/test_backup",
    "jobs/test_jobs",
    "jobs/test_shared",
    "api/test_crash",
    "cli/test_import",
    "chat/test_local_model",
    "cli/test_taxonomy",
    "codebook/test_deciding_rules",
    "cli/test_interrupt",
    "system/test_secrets",
    "system/test_trouble",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; all else keeps its order."""

    def place(item: pytest.Item) -> int:
        return next((n for n, name in enumerate(_LONGEST) if name in item.path.as_posix()), len(_LONGEST))

    items.sort(key=place)
