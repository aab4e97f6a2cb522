from __future__ import annotations

import pytest

from triage.domain.taxonomy import Taxonomy
from triage.pipeline.classification import Subject
from triage.pipeline.classification.sentences import split

WRITE_UP = "The Redis cluster ran out of connections. Requests failed with 503 for an hour. A restart helped."


@pytest.fixture(scope="session")
def taxonomy() -> Taxonomy:
    return Taxonomy.load("llm_inference")


@pytest.fixture
def subject() -> Subject:
    return Subject(sentences=tuple(split(WRITE_UP)))
