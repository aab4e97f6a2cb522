"""What changed between two versions is told as what it is, and a guess is called a guess."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings

from tests.labels.evolution.taxonomies import (
    HERE,
    SHIPPED,
    Content,
    changed,
    label_of,
    merge,
    pairs,
    places,
    remove,
    rename,
    split,
)
from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.labels.evolution import Change, compare
from triage.labels.evolution.rewording import lexical, meaning, reworded
from triage.labels.evolution.succession import GUESS_FROM

CLOUD = Taxonomy.load("cloud_faults")
SHOP = [Taxonomy.load(HERE / name) for name in ("shop-1.yaml", "shop-2.yaml")]


def of_kind(changes: tuple[Change, ...], kind: str) -> list[Change]:
    return [change for change in changes if change.kind == kind]


@pytest.mark.parametrize("taxonomy", [*SHIPPED, *SHOP], ids=lambda taxonomy: f"{taxonomy.id}-{taxonomy.version}")
def test_nothing_changed_between_a_taxonomy_and_itself(taxonomy: Taxonomy) -> None:
    assert compare(taxonomy, taxonomy).changes == ()


@given(places())
@settings(max_examples=40, deadline=None)
def test_a_label_whose_old_id_is_an_alias_was_renamed(place: tuple[Taxonomy, Facet, Label]) -> None:
    taxonomy, facet, label = place
    new = changed(taxonomy, facet.id, rename(label.id, "quite_another", tell=True))
    changes = compare(taxonomy, new).changes

    (found,) = of_kind(changes, "renamed")
    assert (found.facet, found.old, found.new, found.basis) == (facet.id, (label.id,), ("quite_another",), "stated")
    assert {change.kind for change in changes} <= {"renamed", "moved"}


@given(places())
@settings(max_examples=40, deadline=None)
def test_the_same_definition_under_another_id_was_renamed(place: tuple[Taxonomy, Facet, Label]) -> None:
    taxonomy, facet, label = place
    new = changed(taxonomy, facet.id, rename(label.id, "quite_another", tell=False))

    (found,) = of_kind(compare(taxonomy, new).changes, "renamed")
    assert (found.old, found.new, found.is_guess) == ((label.id,), ("quite_another",), False)


@given(pairs())
@settings(max_examples=40, deadline=None)
def test_two_labels_that_one_replaces_were_merged(place: tuple[Taxonomy, Facet, Label, Label]) -> None:
    taxonomy, facet, first, second = place
    new = changed(taxonomy, facet.id, merge(first.id, second.id, "both", tell=True))

    (found,) = of_kind(compare(taxonomy, new).changes, "merged")
    assert (found.old, found.new, found.basis) == ((first.id, second.id), ("both",), "stated")


@given(pairs())
@settings(max_examples=40, deadline=None)
def test_a_merger_that_is_not_told_is_guessed(place: tuple[Taxonomy, Facet, Label, Label]) -> None:
    taxonomy, facet, first, second = place
    new = changed(taxonomy, facet.id, merge(first.id, second.id, "both", tell=False))

    (found,) = of_kind(compare(taxonomy, new).changes, "merged")
    assert set(found.old) == {first.id, second.id}
    assert found.is_guess
    assert found.score is not None
    assert found.score >= GUESS_FROM


@pytest.mark.parametrize("tell", [True, False])
@given(place=places())
@settings(max_examples=30, deadline=None)
def test_one_label_in_whose_place_two_stand_was_split(tell: bool, place: tuple[Taxonomy, Facet, Label]) -> None:
    taxonomy, facet, label = place
    new = changed(taxonomy, facet.id, split(label.id, ("part_one", "part_two"), tell=tell))

    (found,) = of_kind(compare(taxonomy, new).changes, "split")
    assert (found.old, set(found.new)) == ((label.id,), {"part_one", "part_two"})
    assert found.is_guess is not tell


def test_a_part_taken_out_of_a_label_that_stays_is_a_split() -> None:
    def take_out(facet: Content) -> None:
        whole = label_of(facet, "hardware_failure")
        part = {**whole, "id": "power", "name": "Power and cooling", "rival": None}
        part["definition"] = "Power or cooling of a plant failed, whoever owns it and whatever set it off."
        part["includes"] = [item for item in whole["includes"] if "power" in item or "cooling" in item]
        whole["definition"] = "Physical equipment failed: network device, line card, cable, disk or server."
        whole["includes"] = [item for item in whole["includes"] if item not in part["includes"]]
        facet["labels"].append(part)

    (found,) = of_kind(compare(CLOUD, changed(CLOUD, "root_cause", take_out)).changes, "split")

    assert (found.old, set(found.new)) == (("hardware_failure",), {"hardware_failure", "power"})
    assert found.is_guess


def test_labels_that_come_and_go_without_likeness_are_added_and_removed() -> None:
    def swap(facet: Content) -> None:
        remove("third_party")(facet)
        new = {**facet["labels"][0], "id": "sabotage", "name": "Sabotage", "rival": None, "aliases": []}
        new |= {"definition": "Somebody broke in and destroyed something on purpose.", "includes": ["intruder"]}
        facet["labels"].append(new)

    changes = compare(CLOUD, changed(CLOUD, "root_cause", swap)).changes

    assert [(c.kind, c.old, c.new) for c in changes] == [
        ("removed", ("third_party",), ()),
        ("added", (), ("sabotage",)),
    ]


def test_a_new_wording_is_shown_with_its_words() -> None:
    def reword(facet: Content) -> None:
        label = label_of(facet, "capacity")
        label["includes"] = [*label["includes"][1:], "queue too long"]
        label["deciding_rule"] = label["deciding_rule"].replace("no software defect", "no defect of any kind")
        label["example"] = "Another example changes nothing."

    before = CLOUD.facet("root_cause").label("capacity")
    (found,) = compare(CLOUD, changed(CLOUD, "root_cause", reword)).changes

    assert (found.kind, found.old) == ("redefined", ("capacity",))
    told = {one.part: (one.removed, one.added) for one in found.rewordings}
    assert told["includes"] == ((before.includes[0],), ("queue too long",))
    assert told["deciding_rule"] == (("software",), ("of any kind",))
    assert set(told) == {"includes", "deciding_rule"}


def test_case_and_white_space_are_no_new_wording_but_a_sign_is() -> None:
    assert reworded("definition", "Above 5 %", "Below 5 %").added == ("Below",)

    def respace(facet: Content) -> None:
        label = label_of(facet, "capacity")
        label["definition"] = f"  {label['definition'].upper()} ".replace(" ", "\n ")

    assert compare(CLOUD, changed(CLOUD, "root_cause", respace)).changes == ()


def test_a_label_under_another_parent_moved_unless_it_follows_its_parent() -> None:
    old = Taxonomy.load("llm_inference")
    moved = changed(old, "failure_mode", lambda facet: label_of(facet, "timeout").update(parent="operational"))
    (found,) = compare(old, moved).changes
    assert (found.kind, found.before, found.after) == ("moved", "inference_engine", "operational")

    content = old.model_dump(mode="json")
    rename("operational", "operations", tell=True)(content["facets"][0])
    for label in content["facets"][1]["labels"]:
        label["parent"] = label["parent"].replace("operational", "operations")
    followed = compare(old, Taxonomy.model_validate(content)).changes
    assert [(c.kind, c.old) for c in followed] == [("renamed", ("operational",))]


def test_what_a_facet_asks_and_takes_is_compared_too() -> None:
    old, new = SHOP[0], SHOP[0].model_dump(mode="json")
    new["facets"][2] |= {"cardinality": "single", "question": "Who or what noticed the incident first?"}
    new["facets"][1] |= {"id": "failure", "replaces": ["fault"]}
    changes = compare(old, Taxonomy.model_validate(new)).changes

    assert [(c.kind, c.of, c.before, c.after, c.old, c.new, c.basis) for c in changes] == [
        ("renamed", "facet", "", "", ("fault",), ("failure",), "stated"),
        ("cardinality", "facet", "multi", "single", ("noticed_by",), ("noticed_by",), "unchanged"),
        ("redefined", "facet", "", "", ("noticed_by",), ("noticed_by",), "unchanged"),
    ]


def test_a_facet_under_another_id_is_guessed_by_its_labels() -> None:
    new = SHOP[0].model_dump(mode="json")
    new["facets"][2] |= {"id": "source", "name": "Source", "question": "Where did word come from?"}
    (found,) = of_kind(compare(SHOP[0], Taxonomy.model_validate(new)).changes, "renamed")

    assert (found.of, found.old, found.new, found.is_guess) == ("facet", ("noticed_by",), ("source",), True)


def test_two_taxonomies_by_different_people_are_compared_by_their_definitions() -> None:
    changes = compare(CLOUD, Taxonomy.load("cloud_reports")).changes
    guessed = {(c.kind, c.old, c.new) for c in changes if c.is_guess}

    assert ("renamed", ("config_defect",), ("config",)) in guessed
    assert ("merged", ("code_change_defect", "other_software_defect"), ("deploy",)) in guessed
    assert ("renamed", ("capacity",), ("overload",)) in guessed


def test_hardly_any_two_labels_of_a_facet_are_as_alike_as_a_guess_asks() -> None:
    alike, total = [], 0
    for taxonomy in SHIPPED:
        for facet in taxonomy.facets:
            likeness = lexical([meaning(label) for label in facet.labels])
            for i, j in itertools.combinations(range(len(facet.labels)), 2):
                total += 1
                if likeness[i, j] >= GUESS_FROM:
                    alike.append((facet.ids[i], facet.ids[j]))

    assert total > 400
    assert len(alike) <= 1, alike
