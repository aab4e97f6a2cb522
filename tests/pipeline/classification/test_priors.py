from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fake_openai import FakeOpenAI
from triage.domain.taxonomy import Taxonomy
from triage.models.chat.openai import OpenAIChat
from triage.pipeline.classification import Subject, whole
from triage.pipeline.classification.letters import LetterClassifier, measured_prior, shipped_priors
from triage.pipeline.classification.prompts import load

FAULTS = Taxonomy.load("cloud_faults")


@pytest.fixture
async def as_measured(fake_openai: FakeOpenAI) -> AsyncIterator[OpenAIChat]:
    """A model that goes by the name of one whose prior is shipped."""
    chat = OpenAIChat(shipped_priors()[0].model, fake_openai.base_url, "key")
    yield chat
    await chat.aclose()


@pytest.mark.parametrize("shipped", shipped_priors(), ids=lambda prior: prior.taxonomy)
def test_a_shipped_prior_fits_its_taxonomy_and_sums_to_one(shipped: object) -> None:
    prior = next(p for p in shipped_priors() if p == shipped)
    taxonomy = Taxonomy.load(prior.taxonomy.partition("@")[0])

    assert prior.taxonomy == f"{taxonomy.id}@{taxonomy.version}"
    # A new version of the prompt needs a new prior: measure it with `python evals/bench/priors.py`.
    assert prior.prompt == load("letters").name
    for facet_id, shares in prior.facets.items():
        for group in taxonomy.facet(facet_id).groups:
            known = [shares[label.id] for label in group if label.id in shares]
            assert sum(known) == pytest.approx(1, abs=0.01) if known else not known


def test_a_prior_is_used_for_exactly_what_it_was_measured_with() -> None:
    model, prompt = shipped_priors()[0].model, shipped_priors()[0].prompt

    assert measured_prior(model, prompt, FAULTS)
    assert not measured_prior("another", prompt, FAULTS)
    assert not measured_prior(model, "letters@99.0.0", FAULTS)
    assert not measured_prior(model, prompt, FAULTS.model_copy(update={"version": "99.0.0"}))


async def test_where_a_prior_is_shipped_the_model_is_not_asked_for_it(
    fake_openai: FakeOpenAI, as_measured: OpenAIChat, subject: Subject
) -> None:
    taxonomy = FAULTS.model_copy(update={"facets": (FAULTS.facet("root_cause"),)})
    classifier = LetterClassifier(as_measured)
    await classifier.prepare(taxonomy)
    said = await whole(classifier.classify(subject, taxonomy))

    assert len(fake_openai.requests) == 1
    measured = measured_prior(as_measured.name, "letters@1.0.0", FAULTS)["root_cause"]
    assert said.answers["root_cause"].prior == pytest.approx(measured, abs=0.001)
