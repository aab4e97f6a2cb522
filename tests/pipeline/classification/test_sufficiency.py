from __future__ import annotations

import pytest

from triage.domain.taxonomy import Taxonomy
from triage.evaluation import shipped_history
from triage.pipeline.classification.sufficiency import is_too_little

TAXONOMY = Taxonomy.load("llm_inference")


@pytest.mark.parametrize(
    "text", ["router died", "It does not work.", "OOM", "chat is down again, please help", "503", "ルーター"]
)
def test_a_few_words_say_too_little(text: str) -> None:
    assert is_too_little(text, TAXONOMY)


@pytest.mark.parametrize(
    "text",
    [
        "The GPU workers ran out of memory.",
        "The TLS certificate of the job broker expired.",
        "Customers could not open the settings page on their phones since the morning, in all countries.",
        "新しいリリースの後、ルーターのメモリが不足し、すべてのリクエストが失敗した。",
    ],
)
def test_a_sentence_that_says_what_failed_is_enough(text: str) -> None:
    assert not is_too_little(text, TAXONOMY)


def test_every_incident_of_the_shipped_history_says_enough() -> None:
    assert not [incident.id for incident, _ in shipped_history() if is_too_little(incident.text, TAXONOMY)]


def test_without_cues_in_the_taxonomy_only_a_word_or_two_are_too_little() -> None:
    assert is_too_little("router died", Taxonomy.load("cloud_faults"))
    assert not is_too_little("A switch in the zone failed.", Taxonomy.load("cloud_faults"))
