from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.domain.taxonomy import Taxonomy
from triage.pipeline.ending import EndingReader

FACET = Taxonomy.load("llm_inference").facet("mitigation")
READER = EndingReader(FACET)


def found(text: str, *mitigations: str) -> str:
    sentence = READER.find(text, mitigations)
    return sentence[0] if sentence else ""


def test_it_is_the_sentence_that_names_the_action() -> None:
    text = "Latency rose in one region. The stuck workers were restarted at noon.\nWe added a dashboard."

    assert found(text, "restart") == "The stuck workers were restarted at noon."


def test_what_was_done_comes_before_what_is_being_done() -> None:
    text = "Identified: A fix is being implemented.\nMonitoring: A fix has been implemented.\nResolved: It is over."

    assert found(text, "hotfix") == "Monitoring: A fix has been implemented."


def test_of_two_deeds_it_is_that_of_the_mitigation() -> None:
    text = "We rolled the release back. Then we failed over to the standby."

    assert found(text, "rollback") == "We rolled the release back."
    assert found(text, "failover") == "Then we failed over to the standby."
    assert found(text, "rollback", "failover") == "Then we failed over to the standby."


@pytest.mark.parametrize(
    "sentence",
    [
        "Hosts will be restarted every week.",
        "Why the services were restarted is not published.",
        "The workers crashed.",
        "A new release had been rolled out.",
        "The tooling was changed to make rollbacks quicker, and tests for restarts were extended.",
    ],
)
def test_plans_causes_and_gaps_end_nothing(sentence: str) -> None:
    assert found(sentence, "restart", "rollback") == ""


@given(st.text(), st.lists(st.sampled_from(FACET.ids)))
def test_a_sentence_is_verbatim(text: str, mitigations: list[str]) -> None:
    assert found(text, *mitigations) in text
