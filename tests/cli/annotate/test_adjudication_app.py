"""Adjudication in the terminal, key by key, on a real store and index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.annotate.keys import listed, press, shown
from tests.parts import DIMENSION, HashingEmbedder
from triage.cli.annotate.adjudication_app import AdjudicationApp
from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.labels.annotation_job.adjudication import Adjudication
from triage.labels.annotation_job.adjudication_session import Hearing
from triage.redaction import Redactor
from triage.store import Store, upgrade

TAXONOMY = Taxonomy.load("llm_inference")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store with two incidents, on which ada and grace disagree."""
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    await upgrade(url)
    store = Store(url)
    for name in ("one", "two"):
        await store.add_incident(Incident(id=name, title=f"Incident {name}", write_up=f"Write-up {name}."), TAXONOMY.id)
        for who, category, mode in (("ada", "infrastructure", "network"), ("grace", "operational", "deployment")):
            values = {"incident_id": name, "annotator": who, "note": f"{who} on {name}"}
            await store.record(
                [
                    Annotation(facet="category", labels=(category,), **values),
                    Annotation(facet="failure_mode", labels=(mode,), **values),
                ]
            )
    yield store
    await store.close()


@pytest.fixture
async def app(store: Store) -> AsyncIterator[AdjudicationApp]:
    history = ChromaHistory.open(None, HashingEmbedder.fingerprint, DIMENSION)
    casebook = Casebook(store, history, Redactor(), HashingEmbedder(), TAXONOMY)
    yield AdjudicationApp(await Hearing.open(Adjudication(casebook, store), "lin"), "lin")
    history.close()


async def test_both_opinions_with_their_reasons_stand_beside_the_text_and_a_key_settles(
    app: AdjudicationApp, store: Store
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        assert "Incident two" in shown(app, "#title")
        for told in ("ada  Infrastructure", "ada on two", "grace  Operational", "grace on two"):
            assert told in shown(app, "#opinions")
        assert "Operational  grace" in listed(app)
        assert "Inference engine  " not in listed(app)

        await press(pilot, "n", *"why", "enter", "4", "enter")
        assert "Settled: Category is Operational." in shown(app, "#message")
        assert "Category: Operational" in shown(app, "#opinions")
        assert "Deployment  grace" in listed(app)
        assert "Network" not in listed(app)

    gold = [each for each in await store.annotations("two") if each.is_adjudication]
    assert [(each.annotator, each.labels, each.note, each.is_gold) for each in gold] == [
        ("lin", ("operational",), "why", True)
    ]
    assert len(gold[0].settles) == 2


async def test_all_can_be_settled_with_another_label_and_the_end_is_told(app: AdjudicationApp, store: Store) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        for _ in range(2):
            await press(pilot, "3", "enter", "1", "enter")
        assert "4 labels are settled" in shown(app, "#done")
        assert "--accept-agreed" in shown(app, "#done")
    assert (await store.gold(["one"]))["one"]["category"] == ("inference_engine",)


async def test_a_decision_that_does_not_fit_other_gold_is_refused_with_the_reason(
    app: AdjudicationApp, store: Store
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "4", "enter", "1", "enter")
        await press(pilot, "b", "b")
        assert "[x] Operational" in listed(app)
        assert "Settled before by lin: Operational" in shown(app, "#opinions")
        await press(pilot, "4", "1", "enter")
        assert "belongs under" in shown(app, "#message")
        assert app.query_one("#message").has_class("-refused")
    assert (await store.gold(["two"]))["two"]["category"] == ("operational",)
