"""A plan is proposed, confirmed by a person, and never gives a label that the new taxonomy does not have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given, settings

from tests.labels.evolution.taxonomies import (
    HERE,
    annotation,
    changed,
    label_of,
    merge,
    pairs,
    places,
    remove,
    rename,
    split,
)
from triage.domain.annotation import Annotation
from triage.domain.errors import Conflict, NotFound
from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.intake.annotations import read_annotations
from triage.labels.evolution import Plan, agreement_changes, compare, migrate, preview, propose, rank
from triage.labels.evolution.plan import (
    InvalidPlan,
    LabelStep,
    OutdatedPlan,
    UnconfirmedPlan,
    read_plan,
    write_plan,
)

OLD, NEW = (Taxonomy.load(HERE / name) for name in ("shop-1.yaml", "shop-2.yaml"))
GIVEN = read_annotations(HERE / "shop-annotations.jsonl", OLD, origin="human").annotations


def proposed(old: Taxonomy = OLD, new: Taxonomy = NEW) -> Plan:
    return propose(compare(old, new), old, new)


def confirmed(plan: Plan, **labels: dict[str, object]) -> Plan:
    """The plan with every step confirmed; `labels` change the steps of labels."""
    content = plan.model_dump(mode="json")
    for facet in content["facets"]:
        facet["confirmed"] = True
        for step in facet["labels"]:
            step.update({"confirmed": True} | labels.get(step["label"], {}))
    return Plan.model_validate(content)


def step_of(plan: Plan, facet: str, label: str) -> LabelStep:
    step = plan.facet(facet).step(label)
    assert step is not None
    return step


def test_what_is_stated_is_mapped_and_what_is_guessed_or_reworded_waits_for_a_person() -> None:
    plan = proposed()
    steps = {s.label: (s.action, s.to, s.confirmed) for facet in plan.facets for s in facet.labels}

    assert steps == {
        "timeout": ("relabel", None, False),
        "crash": ("map", "process_failure", True),
        "hang": ("map", "process_failure", True),
        "bad_release": ("map", "bad_deployment", True),
        "wrong_setting": ("relabel", None, False),
        "disk": ("map", "storage", False),
    }
    assert plan.unconfirmed == ("fault.timeout", "fault.wrong_setting", "fault.disk")
    assert plan.facet("fault").unchanged == ("network",)
    assert "a guess, likeness 0.94" in step_of(plan, "fault", "disk").because


def test_a_plan_that_is_not_confirmed_is_refused_and_says_what_waits() -> None:
    with pytest.raises(UnconfirmedPlan, match=r"Unconfirmed steps: fault\.timeout, fault\.wrong_setting"):
        migrate(proposed(), OLD, NEW, GIVEN)
    assert migrate(confirmed(proposed()), OLD, NEW, GIVEN) == preview(proposed(), OLD, NEW, GIVEN)


def test_a_rename_or_merger_leaves_the_label_with_the_person_who_gave_it() -> None:
    told = annotation("a", "fault", "hang", is_gold=True, note="stuck since noon")
    (after,) = migrate(confirmed(proposed()), OLD, NEW, [told]).annotations

    assert after.labels == ("process_failure",)
    assert after.note == "stuck since noon; migrated from shop 1.0.0: fault hang"
    assert after == told.model_copy(update={"labels": after.labels, "note": after.note})


def test_a_label_whose_meaning_stayed_is_untouched() -> None:
    told = annotation("a", "fault", "network")
    plan = confirmed(proposed(), wrong_setting={"action": "keep", "choices": []})

    assert migrate(plan, OLD, NEW, [told]).annotations == (told,)
    told = annotation("a", "fault", "wrong_setting")
    assert migrate(plan, OLD, NEW, [told]).annotations == (told,)


def test_a_label_carried_over_although_its_meaning_changed_is_derived_and_nobodys_own() -> None:
    plan = confirmed(proposed(), timeout={"action": "derive", "to": "caller_timeout"})
    (after,) = migrate(plan, OLD, NEW, [annotation("a", "fault", "timeout")]).annotations

    assert (after.labels, after.origin, after.annotator) == (("caller_timeout",), "derived", "derived:ana")


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ({"action": "map", "to": "caller_timeout"}, "use `derive` if the meaning changed"),
        ({"action": "keep"}, "can't be kept"),
        ({"action": "derive"}, "map and derive need `to`"),
        ({"action": "relabel", "to": "caller_timeout"}, "map and derive need `to`"),
    ],
)
def test_a_split_label_is_never_taken_for_what_its_annotator_said(step: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        confirmed(proposed(), timeout=step)


def test_one_label_of_several_that_is_to_be_given_anew_takes_out_the_whole_annotation() -> None:
    migration = migrate(confirmed(proposed()), OLD, NEW, [annotation("a", "fault", "network", "timeout")])

    assert migration.annotations == ()
    (out,) = migration.withdrawn
    assert out.annotation.labels == ("network", "timeout")
    assert out.choices == ("caller_timeout", "handler_timeout")
    assert out.because.startswith("timeout was split into caller_timeout, handler_timeout")


def test_both_halves_of_a_merger_are_one_label_afterwards() -> None:
    (after,) = migrate(confirmed(proposed()), OLD, NEW, [annotation("a", "fault", "crash", "hang")]).annotations

    assert after.labels == ("process_failure",)


def test_labels_of_equal_standing_are_given_anew_where_one_is_wanted_and_a_primary_stands_alone() -> None:
    migration = migrate(
        confirmed(proposed()),
        OLD,
        NEW,
        [annotation("a", "noticed_by", "alert", "person"), annotation("b", "noticed_by", "alert")],
    )
    assert [one.annotation.incident_id for one in migration.withdrawn] == ["a"]
    assert [one.incident_id for one in migration.annotations] == ["b"]

    single = changed(OLD, "fault", lambda facet: facet.update(cardinality="single"))
    plan = propose(compare(OLD, single), OLD, single)
    (after,) = migrate(plan, OLD, single, [annotation("a", "fault", "disk", "network")]).annotations
    assert after.labels == ("disk",)


def test_only_the_latest_word_of_an_annotator_is_migrated_so_that_no_older_one_comes_back() -> None:
    migration = migrate(
        confirmed(proposed()), OLD, NEW, [annotation("a", "fault", "network"), annotation("a", "fault", "timeout")]
    )

    assert migration.annotations == ()
    assert (len(migration.withdrawn), migration.superseded) == (1, 1)


def test_where_a_finer_label_moved_the_coarser_one_is_given_anew() -> None:
    moved = changed(OLD, "fault", lambda facet: label_of(facet, "disk").update(parent="software"))
    plan = propose(compare(OLD, moved), OLD, moved)
    said = [annotation("a", "area", "platform"), annotation("a", "fault", "disk"), annotation("b", "area", "platform")]
    migration = migrate(plan, OLD, moved, said)

    assert [(one.incident_id, one.facet) for one in migration.annotations] == [("a", "fault"), ("b", "area")]
    (out,) = migration.withdrawn
    assert (out.annotation, out.facet, out.change) == (said[0], "area", ("moved",))
    (ranked,) = rank(migration.withdrawn, said, moved)
    assert ranked.incident_id == "a"


def test_the_annotations_of_a_facet_that_is_gone_are_dropped_and_counted() -> None:
    content = OLD.model_dump(mode="json")
    content["facets"] = content["facets"][:2]
    smaller = Taxonomy.model_validate(content)
    migration = migrate(propose(compare(OLD, smaller), OLD, smaller), OLD, smaller, GIVEN)

    assert migration.dropped == 48
    assert {one.facet for one in migration.annotations} == {"area", "fault"}


changes = st.sampled_from(["rename", "merge", "split", "remove", "reword"])


@given(pairs(), changes, st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_no_plan_gives_labels_that_the_new_taxonomy_does_not_have(
    place: tuple[Taxonomy, Facet, Label, Label], kind: str, tell: bool, data: st.DataObject
) -> None:
    old, facet, first, second = place
    change: Callable[..., None] = {
        "rename": rename(first.id, "another", tell=tell),
        "merge": merge(first.id, second.id, "both", tell=tell),
        "split": split(first.id, ("part_one", "part_two"), tell=tell),
        "remove": remove(first.id),
        "reword": lambda content: label_of(content, first.id).update(definition="Something else entirely."),
    }[kind]
    # Labels of a finer facet may have lost their parent; what is tried here is one facet.
    alone = old.model_copy(update={"facets": (facet.model_copy(update={"parent": None}),)})
    new = changed(alone, facet.id, change)
    chosen = data.draw(st.lists(st.lists(st.sampled_from(facet.ids), min_size=1, max_size=3, unique=True), max_size=8))
    most = 1 if facet.cardinality == "single" else 3
    given_ = [annotation(f"i{n}", facet.id, *labels[:most]) for n, labels in enumerate(chosen)]

    migration = migrate(confirmed(propose(compare(alone, new), alone, new)), alone, new, given_)

    for after in migration.annotations:
        assert new.canonical(after.facet, after.labels) == after.labels
        assert set(after.labels) <= set(new.facet(facet.id).ids)
    assert len(migration.annotations) + len(migration.withdrawn) == len(given_)


@given(places())
@settings(max_examples=20, deadline=None)
def test_a_plan_can_not_name_a_label_that_the_new_taxonomy_does_not_have(place: tuple[Taxonomy, Facet, Label]) -> None:
    old, facet, label = place
    new = changed(old, facet.id, rename(label.id, "another", tell=True))
    plan = confirmed(propose(compare(old, new), old, new), **{label.id: {"to": "no_such_label"}})

    with pytest.raises(InvalidPlan, match=f"{facet.id}.{label.id}: 'no_such_label' is no label of the new facet"):
        migrate(plan, old, new, [])


def test_a_plan_survives_its_file_and_finds_its_taxonomies_from_there(tmp_path: Path) -> None:
    for name in ("shop-1.yaml", "shop-2.yaml"):
        (tmp_path / name).write_text((HERE / name).read_text())
    (tmp_path / "plans").mkdir()
    names = [str(tmp_path / name) for name in ("shop-1.yaml", "shop-2.yaml")]
    plan, path = propose(compare(OLD, NEW), OLD, NEW, *names), tmp_path / "plans" / "plan.yaml"
    write_plan(plan, path)
    read, old, new = read_plan(path)

    assert read.facets == plan.facets
    assert (old, new) == (OLD, NEW)
    assert "/tmp" not in path.read_text()
    with pytest.raises(Conflict, match="exists already"):
        write_plan(plan, path)
    (tmp_path / "shop-2.yaml").write_text((HERE / "shop-2.yaml").read_text().replace("Handler over", "Handler above"))
    with pytest.raises(OutdatedPlan, match="Write a new plan"):
        read_plan(path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda fault: fault["labels"][0].update(action="kep"),
            r"line \d+: facets\.1\.labels\.0\.action: input should",
        ),
        (
            lambda fault: fault["labels"][0].update(acton="keep"),
            r"line \d+: facets\.1\.labels\.0\.acton: unknown key; did you mean 'action'",
        ),
        (lambda fault: fault["labels"].pop(0), r"fault\.timeout: has no step"),
        (lambda fault: fault["labels"].append(fault["labels"][0]), r"fault\.timeout: stands twice"),
        (lambda fault: fault["unchanged"].append("fire"), r"fault\.fire: is no label of the old taxonomy"),
        (lambda fault: fault["labels"][-1].update(to="network_"), r"fault\.disk: 'network_' is no label"),
        (lambda fault: fault.update(to="area"), r"facet 'fault': 'area' takes the place of another facet already"),
        (lambda fault: fault.update(to="faults"), r"facet 'fault': 'faults' is no facet of the new taxonomy"),
        (lambda fault: fault.update(facet="faults"), r"facet 'fault' has no step"),
    ],
)
def test_a_mistake_in_a_plan_is_explained(
    tmp_path: Path, change: Callable[[dict[str, object]], None], complaint: str
) -> None:
    path = tmp_path / "plan.yaml"
    write_plan(propose(compare(OLD, NEW), OLD, NEW, str(HERE / "shop-1.yaml"), str(HERE / "shop-2.yaml")), path)
    content = yaml.safe_load(path.read_text())
    change(content["facets"][1])
    path.write_text(yaml.safe_dump(content))

    with pytest.raises(InvalidPlan, match=complaint):
        read_plan(path)


def test_a_plan_that_is_not_there_or_no_yaml_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no file"):
        read_plan(tmp_path / "plan.yaml")
    (tmp_path / "plan.yaml").write_text("old: [")
    with pytest.raises(InvalidPlan, match="is not YAML"):
        read_plan(tmp_path / "plan.yaml")


def test_what_is_least_known_is_labelled_anew_first() -> None:
    def said(incident_id: str, ana: str, ben: str | None = None, is_gold: bool = False) -> list[Annotation]:
        found = [annotation(incident_id, "fault", ana, is_gold=is_gold)]
        return found if ben is None else [*found, annotation(incident_id, "fault", ben, by="ben")]

    given_ = [
        *said("reworded-differ", "wrong_setting", "network"),
        *said("split-agree", "timeout", "timeout"),
        *said("split-differ", "timeout", "hang"),
        *said("split-alone", "timeout"),
        *said("split-alone-gold", "timeout", is_gold=True),
        *said("stays", "network", "network"),
    ]
    ranked = rank(preview(proposed(), OLD, NEW, given_).withdrawn, given_, NEW)

    assert [(one.incident_id, one.disagreement) for one in ranked] == [
        ("split-differ", 1.0),
        ("split-alone-gold", 0.5),
        ("split-alone", 0.5),
        ("split-agree", 0.0),
        ("reworded-differ", 1.0),
    ]


def test_of_equals_the_write_up_on_the_border_of_the_new_definitions_comes_first() -> None:
    texts = {
        "clear": "A client gave up waiting for an answer and the gateway cut the call.",
        "border": "The client gave up waiting while the handler exceeded its own time limit.",
    }
    given_ = [annotation("clear", "fault", "timeout"), annotation("border", "fault", "timeout")]
    withdrawn = preview(proposed(), OLD, NEW, given_).withdrawn
    ranked = rank(withdrawn, given_, NEW, texts)

    assert [one.incident_id for one in ranked] == ["border", "clear"]
    assert ranked[1].nearest == ("caller_timeout", "handler_timeout")
    assert rank(withdrawn, given_, NEW)[0].margin is None


def test_merging_two_labels_that_annotators_confuse_raises_kappa_on_the_same_incidents() -> None:
    migration = preview(proposed(), OLD, NEW, GIVEN)
    found = {one.facet: one for one in agreement_changes(proposed(), OLD, NEW, GIVEN, migration)}
    fault = found["fault"]

    assert fault.annotators == ("ana", "ben")
    assert (fault.before.n, fault.after.n, fault.to_relabel) == (24, 15, 9)
    assert fault.before_on_remaining.value is not None
    assert fault.after.value is not None
    assert fault.before_on_remaining.value < fault.after.value
    assert fault.before.interval is not None
    assert found["area"].before == found["area"].after
    assert found["noticed_by"].measure == "mean Jaccard"


def test_a_derived_label_does_not_count_as_agreement_of_people() -> None:
    plan = confirmed(proposed(), timeout={"action": "derive", "to": "caller_timeout"})
    found = agreement_changes(plan, OLD, NEW, GIVEN, migrate(plan, OLD, NEW, GIVEN))

    assert next(one for one in found if one.facet == "fault").after.n == 15


def test_a_facet_under_a_new_id_takes_its_annotations_along() -> None:
    content = OLD.model_dump(mode="json")
    content["facets"][1] |= {"id": "failure", "replaces": ["fault"]}
    new = Taxonomy.model_validate(content)
    migration = migrate(propose(compare(OLD, new), OLD, new), OLD, new, GIVEN)

    assert {one.facet for one in migration.annotations} == {"area", "failure", "noticed_by"}
    assert migration.mapped == 48
    assert migration.withdrawn == ()
