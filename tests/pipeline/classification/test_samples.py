from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.fake_openai import FakeOpenAI
from triage.app.settings import Settings
from triage.app.wiring.models import build_classifier, open_model
from triage.domain.taxonomy import Taxonomy
from triage.pipeline.classification import Subject, whole
from triage.pipeline.classification.samples import mean, smoothed_shares

LABELS = [f"label_{n}" for n in range(8)]


@given(st.lists(st.sampled_from(LABELS), max_size=9))
def test_shares_sum_to_one_rule_nothing_out_and_follow_the_votes(votes: list[str]) -> None:
    shares = smoothed_shares(votes, LABELS)

    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) > 0
    assert sorted(LABELS, key=votes.count) == sorted(LABELS, key=lambda label: shares[label])


def test_five_votes_of_five_count_for_much_also_among_many_labels() -> None:
    assert smoothed_shares(["a"] * 5, [*"abcdefghijklmnopqrst"])["a"] > 0.8


@given(st.lists(st.dictionaries(st.sampled_from(LABELS), st.floats(0, 1), min_size=1), min_size=1, max_size=5))
def test_a_mean_lies_between_the_answers_and_comes_best_first(distributions: list[dict[str, float]]) -> None:
    means = mean(distributions)

    assert list(means.values()) == sorted(means.values(), reverse=True)
    for label, probability in means.items():
        said = [distribution.get(label, 0.0) for distribution in distributions]
        assert min(said) - 1e-9 <= probability <= max(said) + 1e-9


@pytest.mark.parametrize(
    ("answers", "samples", "calls"),
    [("structured", None, 1), ("structured", 3, 3), ("letters", None, 5), ("letters", 2, 2)],
)
async def test_the_setting_says_how_many_answers_are_asked_for(
    fake_openai: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
    subject: Subject,
    taxonomy: Taxonomy,
    answers: str,
    samples: int | None,
    calls: int,
) -> None:
    monkeypatch.setenv("TRIAGE_ANSWERS", answers)
    if samples is not None:
        monkeypatch.setenv("TRIAGE_SAMPLES", str(samples))
    fake_openai.gives_logprobs = False
    settings = Settings(model="any", base_url=fake_openai.base_url)
    category = taxonomy.model_copy(update={"facets": (taxonomy.facet("category"),)})
    async with open_model(settings) as model:
        classifier = build_classifier(settings, model)
        assert classifier is not None
        await classifier.prepare(category)
        said = await whole(classifier.classify(subject, category))

    assert said.usage.model_calls == calls


def test_no_answer_at_all_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAGE_SAMPLES", "0")

    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Settings()
