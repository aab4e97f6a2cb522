"""Deciding rules put into a copy of a taxonomy's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Taxonomy, shipped
from triage.labels.codebook.taxonomy_file import write_rules

RULE = 'If it\'s a "setting": choose config_defect; else # code_change_defect. ' * 4


@pytest.mark.parametrize("name", shipped())
def test_only_the_rules_and_the_version_change(name: str, tmp_path: Path) -> None:
    old = Taxonomy.load(name)
    facet = old.facets[0]
    label = facet.labels[1]
    new = write_rules(name, {(facet.id, label.id): RULE}, tmp_path / "new.yaml")

    changed = label.model_copy(update={"deciding_rule": " ".join(RULE.split())})
    labels = tuple(changed if one.id == label.id else one for one in facet.labels)
    expected = facet.model_copy(update={"labels": labels})
    major, minor, _ = old.version.split(".")
    assert new.version == f"{major}.{int(minor) + 1}.0"
    assert new.facets == (expected, *old.facets[1:])
    source = Path(__file__).parents[3] / f"triage/taxonomies/{name}.yaml"
    before, after = source.read_text().splitlines(), (tmp_path / "new.yaml").read_text().splitlines()
    kept = [line for line in before if line in after]
    assert len(before) - len(kept) <= 6
    assert max(map(len, after)) <= 120 or max(map(len, before)) > 120


def test_comments_blocks_and_flow_stay_as_they_were_written(tmp_path: Path) -> None:
    text = """\
# Kept by the reliability team.
id: ours
version: 2.0.5  # raised by hand
title: Ours
description: For tests
facets:
  - id: cause
    name: Cause
    question: What?
    cardinality: single
    labels:
      - id: power
        name: Power
        definition: d
        includes: [i]
        excludes: [e]
        deciding_rule: >
          Old words
          over two lines.
        example: x  # an example
      - {id: code, name: Code, definition: d, includes: [i], excludes: [e], deciding_rule: old, example: x}
"""
    (tmp_path / "ours.yaml").write_text(text)
    rules = {("cause", "power"): "If power failed, power.", ("cause", "code"): "New: it's code."}
    new = write_rules(str(tmp_path / "ours.yaml"), rules, tmp_path / "new.yaml")

    assert (tmp_path / "ours.yaml").read_text() == text
    assert (tmp_path / "new.yaml").read_text() == text.replace("2.0.5", "2.1.0").replace(
        ">\n          Old words\n          over two lines.\n", "'If power failed, power.'\n"
    ).replace("deciding_rule: old", "deciding_rule: 'New: it''s code.'")
    assert [label.deciding_rule for label in new.facets[0].labels] == list(rules.values())


def test_a_rule_that_several_labels_share_is_refused(small: Taxonomy, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'network' is shared"):
        write_rules(str(tmp_path / "small.yaml"), {("cause", "network"): "n"}, tmp_path / "new.yaml")


def test_the_taxonomy_itself_is_not_written_over(small: Taxonomy, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="another name"):
        write_rules(str(tmp_path / "small.yaml"), {}, tmp_path / "small.yaml")
