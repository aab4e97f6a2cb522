from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import InvalidTaxonomy, Taxonomy, UnknownFacet, UnknownLabel, check, shipped

SMALL = """\
id: small
version: 1.0.0
title: Small
description: Two facets.
facets:
  - id: kind
    name: Kind
    question: What is it?
    cardinality: single
    labels:
      - &label
        id: one
        name: One
        definition: The first.
        includes: [ones]
        excludes: [twos]
        deciding_rule: One unless two.
        example: One thing.
      - {<<: *label, id: two, name: Two}
  - id: part
    name: Part
    question: Which part?
    cardinality: primary_first
    parent: kind
    labels:
      - {<<: *label, id: left, name: Left, parent: one}
      - {<<: *label, id: right, name: Right, parent: two}
"""


@pytest.fixture
def small(tmp_path: Path) -> Taxonomy:
    return Taxonomy.load(written(tmp_path, SMALL))


def written(folder: Path, text: str) -> Path:
    path = folder / "small.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_taxonomy_has_no_mistake_and_defines_every_label_in_full(name: str) -> None:
    taxonomy = Taxonomy.load(name)

    for facet in taxonomy.facets:
        for label in facet.labels:
            assert len(label.definition.split()) >= 5, label.id
            assert label.includes, label.id
            assert label.excludes, label.id
            assert label.deciding_rule, label.id
            assert label.example, label.id


def test_the_shipped_taxonomies_are_the_four_that_the_data_needs() -> None:
    assert shipped() == ["cloud_faults", "cloud_reports", "engine_issues", "llm_inference"]


def test_the_failure_modes_are_those_of_the_study_each_under_its_category() -> None:
    taxonomy = Taxonomy.load("llm_inference")
    under = {
        category: [label.id for label in taxonomy.facet("failure_mode").children([category])]
        for category in taxonomy.facet("category").ids
    }

    assert set(under) == {"infrastructure", "model_configuration", "inference_engine", "operational"}
    assert {"timeout", "resource_exhaustion", "crash", "latency_spike", "hang"} <= set(under["inference_engine"])
    assert {"node", "network", "storage"} <= set(under["infrastructure"])


@pytest.mark.parametrize(
    ("was", "becomes", "line", "complaint"),
    [
        ("question: Which part?", "qestion: Which part?", 22, "unknown key"),
        ("parent: one}", "parent: three}", 26, "needs a parent from facet 'kind': one, two"),
        ("cardinality: single", "cardinality: many", 9, "cardinality"),
        ("version: 1.0.0", "version: 1", 2, "version"),
        ("id: two, name: Two", "id: one, name: Two", 19, "appears twice"),
        ("    parent: kind", "    parent: kinds", 24, "no facet above"),
        ("  - id: part", "  - id: part\n    id: part", 21, "key 'id' appears twice"),
        ("id: small", "id: [small", 2, "is not YAML"),
    ],
)
def test_a_mistake_is_explained_with_its_line(
    tmp_path: Path, was: str, becomes: str, line: int, complaint: str
) -> None:
    assert was in SMALL
    problems = check(written(tmp_path, SMALL.replace(was, becomes)))

    assert any(abs(problem.line - line) <= 1 and complaint in problem.message for problem in problems), problems


def test_a_facet_above_its_parent_is_a_mistake(tmp_path: Path) -> None:
    content = yaml.safe_load(SMALL)
    content["facets"].reverse()

    assert "no facet above" in check(written(tmp_path, yaml.safe_dump(content)))[0].message


def test_mistakes_within_a_label_do_not_make_its_list_too_short(tmp_path: Path) -> None:
    problems = check(written(tmp_path, SMALL.replace("example: One thing.", "exmple: One thing.")))

    assert problems
    assert not any("at least" in problem.message for problem in problems)


def test_a_file_with_mistakes_does_not_load(tmp_path: Path) -> None:
    with pytest.raises(InvalidTaxonomy, match="1 mistake"):
        Taxonomy.load(written(tmp_path, SMALL.replace("title: Small\n", "")))


def test_labels_are_found_by_id_and_by_name(small: Taxonomy) -> None:
    assert small.canonical("kind", ["Two"]) == ("two",)


def test_what_a_label_replaces_is_part_of_the_content_only_where_it_is_said(small: Taxonomy, tmp_path: Path) -> None:
    said = Taxonomy.load(written(tmp_path, SMALL.replace("name: One", "name: One\n        replaces: [first]")))

    assert "replaces" not in small.model_dump_json()
    assert said.facet("kind").label("one").replaces == ("first",)
    assert said.fingerprint != small.fingerprint


def test_what_the_taxonomy_does_not_have_is_named_with_what_it_has(small: Taxonomy) -> None:
    with pytest.raises(UnknownLabel, match=r"'onne' is no label of facet 'kind'\. Did you mean: one"):
        small.canonical("kind", ["onne"])
    with pytest.raises(UnknownFacet, match="kind"):
        small.facet("knd")


def test_a_child_label_must_stand_under_a_given_parent(small: Taxonomy) -> None:
    assert small.validate_labels({"kind": ("one",), "part": ("left",)})
    with pytest.raises(InvalidInput, match="'right' of facet 'part' belongs under 'two'"):
        small.validate_labels({"kind": ("one",), "part": ("right",)})


def test_a_single_facet_takes_one_label(small: Taxonomy) -> None:
    with pytest.raises(InvalidInput, match="kind"):
        small.canonical("kind", ["one", "two"])
