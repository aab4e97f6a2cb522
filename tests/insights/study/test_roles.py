"""What labels mean to the study: from a file, from options, and refused where the taxonomy has no such label."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.insights.study.conftest import TAXONOMY, corpus, record
from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Taxonomy, UnknownFacet, UnknownLabel, shipped
from triage.insights.study import Corpus, Roles, StudyOptions, make_study
from triage.insights.study.publication import publication

REPORTS = Taxonomy.load("cloud_reports")


@pytest.mark.parametrize("name", shipped())
def test_the_shipped_roles_fit_their_taxonomy(name: str) -> None:
    taxonomy = Taxonomy.load(name)
    roles = Roles.load(taxonomy)
    assert roles == roles.checked(taxonomy)


def test_every_published_figure_says_where_it_was_read() -> None:
    assert len({one.id for one in publication().figures}) == len(publication().figures) == 11
    assert {one.read for one in publication().figures} == {"first_hand", "second_hand"}
    assert all(one.source for one in publication().figures)


def test_a_role_is_said_alone_with_names_of_labels() -> None:
    roles = Roles().given(TAXONOMY, ["automated=detection:Automated", "reported=customer_reported", "hotfix=hotfix"])
    assert roles.detection is not None
    assert (roles.detection.facet, roles.detection.automated) == ("detection", ("automated",))
    assert roles.detection.reported == ("customer_reported",)
    assert roles.mitigation is not None
    assert (roles.mitigation.facet, roles.mitigation.hotfix) == ("mitigation", ("hotfix",))


def test_a_role_takes_the_place_of_that_of_the_file_and_leaves_the_others() -> None:
    shipped_ones = Roles.load(TAXONOMY)
    roles = shipped_ones.given(TAXONOMY, ["automated=automated,engineer_noticed"])
    assert roles.detection is not None
    assert (roles.detection.automated, roles.detection.reported) == (
        ("automated", "engineer_noticed"),
        ("customer_reported",),
    )
    assert roles.mitigation == shipped_ones.mitigation


def test_any_facet_can_hold_detection_and_mitigation() -> None:
    said = ["automated=user_symptom:error", "reported=delay", "hotfix=root_cause:deploy", "automatable=config"]
    roles = Roles().given(REPORTS, said)
    records = [
        record(
            n,
            {"user_symptom": ("error" if n % 2 else "delay",), "root_cause": ("deploy" if n % 3 else "config",)},
            ttm=n,
        )
        for n in range(12)
    ]
    made = make_study(Corpus("a corpus", REPORTS, tuple(records), "given by people"), roles, StudyOptions(draws=99))
    assert made.detection is not None
    assert made.detection.automated is not None
    assert (made.detection.facet, made.detection.automated.hits) == ("user_symptom", 6)
    assert made.mitigation is not None
    assert made.mitigation.hotfix is not None
    assert (made.mitigation.facet, made.mitigation.hotfix.hits) == ("root_cause", 8)
    beside = {one.published.id: one for one in made.comparison}
    assert beside["automated"].why_not is None
    assert beside["timeout"].why_not == "no label is said to mean it (roles, `compare`)"


def test_labels_that_say_nothing_are_left_out_of_the_shares() -> None:
    records = tuple(record(n, {"root_cause": ("unknown" if n % 2 else "deploy",)}) for n in range(10))
    made = make_study(Corpus("a corpus", REPORTS, records, "given by people"), Roles.load(REPORTS))
    cause = made.distributions[0]
    assert cause.silent is not None
    assert [(share.name, share.hits, share.n) for share in cause.shares] == [("deploy", 5, 5)]
    assert (cause.silent.hits, cause.silent.n) == (5, 10)
    plain = make_study(Corpus("a corpus", REPORTS, records, "given by people"), Roles())
    assert [share.n for share in plain.distributions[0].shares] == [10, 10]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("automatic=detection:automated", "automated"),
        ("automated", "Write automated=FACET:LABEL"),
        ("automated=detection:", "Write automated="),
        ("undisclosed=unknown", "names no facet"),
    ],
)
def test_a_role_that_is_none_is_refused_with_what_to_write(said: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        Roles().given(TAXONOMY, [said])


def test_a_facet_that_must_be_named_is_asked_for() -> None:
    with pytest.raises(InvalidInput, match="automated=FACET:LABEL"):
        Roles().given(REPORTS, ["automated=error"])
    with pytest.raises(InvalidInput, match="hotfix=FACET:LABEL"):
        Roles().given(REPORTS, ["hotfix=deploy"])
    with pytest.raises(UnknownFacet):
        Roles().given(REPORTS, ["hotfix=colour:red"])
    with pytest.raises(UnknownLabel):
        Roles().given(REPORTS, ["hotfix=root_cause:red"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("compare: {engine: {facet: category}}", "not a published figure"),
        ("compare: {timeout: {facet: category, within: inference_engine}}", "has no parent facet"),
        ("detection: {facet: detection, automated: [loud]}", "is no label"),
        ("detection: {facets: detection}", "line 1"),
    ],
)
def test_a_file_of_roles_is_checked(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "roles.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=told):
        Roles.load(TAXONOMY, path)


def test_roles_for_mitigations_need_a_facet_of_them(tmp_path: Path) -> None:
    path = tmp_path / "roles.yaml"
    path.write_text("mitigation: {hotfix: [deploy]}")
    with pytest.raises(InvalidInput, match="Name the facet"):
        Roles.load(REPORTS, path)
    assert corpus([]).taxonomy.mitigation is not None
