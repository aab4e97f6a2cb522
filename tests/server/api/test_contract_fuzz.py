"""Every endpoint that the description names is called with what it allows and with what it does not.

No endpoint is listed here: one that is added is called by itself.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    NotAServerErrorConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.config._checks import NegativeDataRejectionConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import negative_data_rejection

from tests.server.api.secured import MANY_FAILURES, Secured, secured


@schemathesis.serializer("application/x-ndjson")
def lines(_context: schemathesis.SerializationContext, value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # Schemathesis draws with `random` inside its strategies; its own seed is set.
    pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning"),
]

EXAMPLES = 3
SEED = 2511


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    options = MANY_FAILURES._replace(requests_per_minute=1_000_000)
    with secured(tmp_path_factory.mktemp("fuzzed"), options, lifespan=None, wait_limit_s=0.2) as service:
        yield service


@pytest.fixture(scope="module")
def description(service: Secured) -> schemathesis.BaseSchema:
    generation = GenerationConfig(max_examples=EXAMPLES, deterministic=True, database="none")
    checks = ChecksConfig(
        not_a_server_error=NotAServerErrorConfig(expected_statuses=["2xx", "3xx", "4xx", "503"]),
        # A schema can't tell which labels the taxonomy has, nor which cursors the service gave.
        negative_data_rejection=NegativeDataRejectionConfig(expected_statuses=["4xx", "503"]),
        positive_data_acceptance=PositiveDataAcceptanceConfig(enabled=False),
    )
    project = ProjectConfig(base_url=service.base_url, generation=generation, checks=checks, request_timeout=20)
    configuration = SchemathesisConfig(seed=SEED, projects=ProjectsConfig(default=project))
    return schemathesis.openapi.from_url(f"{service.base_url}/openapi.json", config=configuration)


def cases(operation: schemathesis.APIOperation) -> Iterator[Case]:
    """Each boundary of each parameter and field, and some values in between and outside."""
    modes = list(GenerationMode)
    generation = operation.schema.config.generation
    yield from operation.schema.iter_coverage_cases(operation, generation_modes=modes, generation_config=generation)
    for mode in modes:
        yield from drawn(operation, mode)


def drawn(operation: schemathesis.APIOperation, mode: GenerationMode) -> list[Case]:
    """Some cases that the description allows, or some that it does not."""
    cases: list[Case] = []

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=[*HealthCheck]
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def draw(case: Case) -> None:
        cases.append(case)

    with contextlib.suppress(Unsatisfiable):
        # What takes no input has nothing wrong to be sent.
        draw()
    return cases


def excluded(case: Case) -> list[schemathesis.CheckFunction]:
    """Any text is a text: none can be a wrong one."""
    return [negative_data_rejection] if (case.media_type or "").startswith(("text/", "application/x-ndjson")) else []


def test_whatever_is_sent_every_answer_is_as_it_is_described(
    service: Secured, description: schemathesis.BaseSchema
) -> None:
    failures: dict[str, str] = {}
    called = 0
    headers = {"Authorization": f"Bearer {service.key('admin').text}"}
    with requests.Session() as session:
        for result in description.get_all_operations():
            operation = result.ok()
            for case in cases(operation):
                called += 1
                try:
                    case.call_and_validate(session=session, headers=headers, excluded_checks=excluded(case))
                except FailureGroup as group:
                    for failure in group.exceptions:
                        failures.setdefault(
                            f"{operation.label}: {failure.title}", f"{failure}\n{case.as_curl_command()}"
                        )

    assert called > 1500
    assert not failures, "\n\n".join(f"{what}\n{how}" for what, how in failures.items())
