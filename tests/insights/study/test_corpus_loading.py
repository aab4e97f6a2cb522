"""What a service has labelled, as a corpus: the teams that may be seen, the newest, and labels of earlier versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.insights.study.conftest import TAXONOMY, record
from tests.parts import HashingEmbedder
from triage.domain.annotation import Annotation
from triage.domain.errors import InvalidInput
from triage.domain.principal import SHARED_TEAM
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.insights.study import Roles, StudyOptions, tables_of
from triage.insights.study.corpus_loading import Studies, file_corpus, shipped_corpus, stored_corpus
from triage.redaction import Redactor
from triage.store import Store

QUICK = StudyOptions(draws=99, resamples=50)
LABELS = {"category": ("infrastructure",), "failure_mode": ("node",)}


@pytest.fixture
async def store(store: Store) -> AsyncIterator[Store]:
    """Four incidents each of two teams and of the shared history; two people labelled some of the first."""
    embedder = HashingEmbedder()
    history = ChromaHistory.open(None, embedder.fingerprint)
    casebook = Casebook(store, history, Redactor(), embedder, TAXONOMY)
    number = 0
    for team in ("payments", "billing", SHARED_TEAM):
        made = []
        for _ in range(4):
            made.append(tuple(record(number, LABELS, days=number, ttm=5 + number)))
            number += 1
        await casebook.import_history(made, "ada", "human", team=team)
    said = [
        Annotation(incident_id=f"payments:i{n}", facet="category", labels=("infrastructure",), annotator="bob")
        for n in range(3)
    ]
    await store.record(
        [*said, Annotation(incident_id="billing:i4", facet="category", labels=("operational",), annotator="eve")]
    )
    yield store
    history.close()


async def test_a_team_s_incidents_and_the_shared_ones_are_studied(store: Store) -> None:
    mine = (await stored_corpus(store, TAXONOMY, teams=["payments"], fingerprint="hashing-64")).corpus
    everyone = await stored_corpus(store, TAXONOMY, fingerprint="hashing-64")
    assert [one.id.split(":")[0] for one in mine.records].count("payments") == 4
    assert len(mine.records) == 8
    assert {one.annotator for one in mine.annotations} == {"ada", "bob"}
    assert mine.origin == "given by people (16)"
    assert len(everyone.corpus.records) == len(everyone.vectors) == 12
    assert everyone.corpus.notes == ()


async def test_of_many_the_newest_are_studied_and_it_is_said(store: Store) -> None:
    loaded = await stored_corpus(store, TAXONOMY, most=5)
    assert sorted(one.id.rpartition(":")[2] for one in loaded.corpus.records) == ["i10", "i11", "i7", "i8", "i9"]
    assert loaded.corpus.notes == ("The newest 5 of 12 labelled incidents are studied.",)
    assert loaded.vectors == {}


async def test_labels_of_another_version_are_left_out_and_counted(store: Store) -> None:
    category = TAXONOMY.facet("category")
    fewer = category.model_copy(update={"labels": category.labels[1:]})
    loaded = await stored_corpus(store, TAXONOMY.model_copy(update={"facets": (fewer,)}))
    assert {one for record_ in loaded.corpus.records for one in record_.labels} == set()
    assert loaded.corpus.notes == ("24 label(s) that llm_inference 1.1.0 does not have are left out.",)


async def test_studies_take_turns_and_tell_of_the_agreement_of_those_seen(store: Store) -> None:
    studies = Studies(store, TAXONOMY, Roles.load(TAXONOMY), "hashing-64")
    mine, everyone = await asyncio.gather(studies.of(["payments"], QUICK), studies.of(None, QUICK))
    assert (mine.n, everyone.n) == (8, 12)
    category = next(one for one in mine.labelling if one.facet == "category")
    assert (category.n_people, category.overlap) == (2, 3)
    assert next(one for one in everyone.labelling if one.facet == "category").n_people == 3
    assert mine.repeats.n_compared_by_meaning == 8
    assert "billing" not in mine.model_dump_json()


async def test_only_a_study_of_all_teams_holds_the_checklist(store: Store) -> None:
    studies = Studies(store, TAXONOMY, Roles.load(TAXONOMY), "hashing-64")
    of_one_team, of_all = await studies.of(["payments"], QUICK), await studies.of(None, QUICK)

    assert of_one_team.checklist is None
    assert "checklist" not in [table.id for table in tables_of(of_one_team, TAXONOMY)]
    assert of_all.checklist is not None
    assert of_all.checklist.steps == (await studies.checklist()).steps
    rows = next(table.rows for table in tables_of(of_all, TAXONOMY) if table.id == "checklist")
    assert [row.cells[0] for row in rows] == [step.title for step in of_all.checklist.steps]


def test_the_shipped_history_has_one_taxonomy() -> None:
    assert len(shipped_corpus(TAXONOMY).records) == 455
    with pytest.raises(InvalidInput, match="Name a file"):
        shipped_corpus(Taxonomy.load("cloud_faults"))


def test_a_file_is_read_plainly_or_by_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,write_up,root_cause,why\na,It broke,config,bolt\nb,It broke again,deploy,nut\n")
    reports = Taxonomy.load("cloud_reports")
    assert file_corpus(path, reports).records[0].labels == {"root_cause": ("config",)}
    own = file_corpus(path, None, {"why": "why"}, are_human=True)
    assert (own.records[1].labels, own.origin) == ({"why": ("nut",)}, "given by people")
    with pytest.raises(InvalidInput, match="--facet"):
        file_corpus(path, None)
