"""Recorded answers are replayed for their write-up only."""

from __future__ import annotations

import json

import pytest

from triage.domain.errors import ModelUnavailable
from triage.domain.taxonomy import Taxonomy
from triage.models.chat.replay import RecordedAnswer, Recording, ReplayChat, recordings_in
from triage.pipeline.classification import Subject, whole
from triage.pipeline.classification.letters import LetterClassifier
from triage.pipeline.classification.sentences import split
from triage.pipeline.classification.structured import StructuredClassifier

TEXTS = {
    "a": "The power feed of hall seven failed at noon. Batteries carried the load for two minutes and then gave out.",
    "b": "A certificate of the front end expired during the night. Clients could not connect until it was renewed.",
}
ROWS = [
    {
        "id": "a",
        "title": "",
        "text": TEXTS["a"],
        "recorded": {"x": {"root_cause": "EXTERNAL", "root_cause_text": "The power feed of hall seven failed"}},
    },
    {
        "id": "b",
        "title": "",
        "text": TEXTS["b"],
        "recorded": {"x": {"root_cause": "OTHERS", "root_cause_text": None}, "y": {"root_cause": ""}},
    },
]


@pytest.fixture
def taxonomy() -> Taxonomy:
    full = Taxonomy.load("cloud_reports")
    return full.model_copy(update={"facets": (full.facet("root_cause"),)})


def names(taxonomy: Taxonomy) -> dict[str, dict[str, str]]:
    return {facet.id: {label.id: label.name for label in facet.labels} for facet in taxonomy.facets}


def subject(text: str) -> Subject:
    return Subject(sentences=tuple(split(text)))


async def test_a_recorded_label_comes_back_with_its_quote(taxonomy: Taxonomy) -> None:
    model = ReplayChat("x", recordings_in(ROWS, "x"), names(taxonomy))
    answer = (await whole(StructuredClassifier(model).classify(subject(TEXTS["a"]), taxonomy))).answers["root_cause"]
    assert max(answer.distribution, key=lambda one: answer.distribution[one]) == "external"
    assert answer.quotes == ("The power feed of hall seven failed",)


async def test_a_condensed_write_up_is_still_recognised(taxonomy: Taxonomy) -> None:
    model = ReplayChat("x", recordings_in(ROWS, "x"), names(taxonomy))
    answer = (await whole(StructuredClassifier(model).classify(subject(TEXTS["b"].split(". ")[1]), taxonomy))).answers
    assert next(iter(answer["root_cause"].distribution)) == "others"


async def test_another_write_up_has_no_answer(taxonomy: Taxonomy) -> None:
    model = ReplayChat("x", recordings_in(ROWS, "x"), names(taxonomy))
    with pytest.raises(ModelUnavailable, match="no recorded answer for this write-up"):
        await whole(StructuredClassifier(model).classify(subject("A router lost its routes in the evening."), taxonomy))


async def test_two_recordings_of_the_same_text_with_other_answers_are_refused(taxonomy: Taxonomy) -> None:
    twice = [
        Recording(incident_id=key, text=TEXTS["a"], answers={"root_cause": RecordedAnswer(labels={label: 0.9})})
        for key, label in (("a", "external"), ("c", "config"))
    ]
    model = ReplayChat("x", twice, names(taxonomy))
    with pytest.raises(ModelUnavailable, match="a, c read the same"):
        await whole(StructuredClassifier(model).classify(subject(TEXTS["a"]), taxonomy))


async def test_recorded_probabilities_come_back_as_log_probabilities_of_letters(taxonomy: Taxonomy) -> None:
    said = dict.fromkeys(taxonomy.facet("root_cause").ids, 0.02) | {"external": 0.7, "config": 0.2}
    recording = Recording(incident_id="a", text=TEXTS["a"], answers={"root_cause": RecordedAnswer(labels=said)})
    model = ReplayChat("x", [recording], names(taxonomy), "letters")
    classifier = LetterClassifier(model)
    distribution, _ = await classifier._ask(
        subject(TEXTS["a"]), taxonomy.facet("root_cause"), list(taxonomy.facet("root_cause").labels)
    )
    assert distribution == pytest.approx(said, abs=0.01)


def test_what_was_not_answered_is_not_recorded() -> None:
    assert [one.incident_id for one in recordings_in(ROWS, "x")] == ["a", "b"]
    assert recordings_in(ROWS, "y") == []
    assert json.loads(recordings_in(ROWS, "x")[1].model_dump_json())["answers"]["root_cause"]["quotes"] == []
