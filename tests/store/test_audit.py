from __future__ import annotations

import pytest

from triage.domain.annotation import Annotation
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import Incident
from triage.domain.principal import acting_as
from triage.store import Store


@pytest.fixture
async def store(store: Store) -> Store:
    await store.incidents.add(Incident(id="a", write_up="It failed."), "t", "payments")
    return store


def said(label: str, annotator: str = "ada", **fields: object) -> Annotation:
    values = {"incident_id": "a", "facet": "category", "labels": (label,), "annotator": annotator}
    return Annotation.model_validate(values | fields)


async def test_a_label_is_written_down_with_what_was_before_and_who_did_it(store: Store) -> None:
    with acting_as("key:1 pager"):
        await store.record([said("infrastructure")], is_interactive=True)
        await store.record([said("operational", is_gold=True)], is_interactive=True)

    last, first = (await store.audit.list(10)).entries
    assert (first.actor, first.action, first.team, first.incident_id) == ("key:1 pager", "label.given", "payments", "a")
    assert first.details == {"facet": "category", "annotator": "ada", "before": None, "after": ["infrastructure"]}
    assert last.details == {
        "facet": "category",
        "annotator": "ada",
        "before": ["infrastructure"],
        "after": ["operational"],
        "gold_before": None,
        "is_gold": True,
    }


async def test_what_changes_nothing_is_not_written_down(store: Store) -> None:
    await store.record([said("infrastructure")], is_interactive=True)
    await store.record([said("infrastructure")], is_interactive=True)
    assert len((await store.audit.list(10)).entries) == 1


async def test_a_change_that_is_undone_leaves_no_entry(store: Store) -> None:
    with pytest.raises(Exception, match="no incident 'nobody'"):
        await store.record([said("infrastructure"), said("x", incident_id="nobody")], is_interactive=True)
    assert (await store.audit.list(10)).entries == ()


async def test_an_adjudication_tells_which_gold_label_it_replaces(store: Store) -> None:
    await store.record([said("infrastructure", is_gold=True)], is_interactive=True)
    await store.record([said("operational", "lin", is_gold=True, settles=(1,))], is_interactive=True)
    last = (await store.audit.list(1)).entries[0]
    assert (last.action, last.details["gold_before"], last.details["after"]) == (
        "label.adjudicated",
        ["infrastructure"],
        ["operational"],
    )


async def test_an_import_is_one_entry_and_one_more_for_each_label_that_it_changes(store: Store) -> None:
    new = {name: Incident(id=name, write_up="It failed.") for name in ("b", "c")}
    derived = [said("x", "import", incident_id=name, origin="derived", is_gold=True) for name in new]
    await store.record(derived, imported=new, taxonomy="t")
    again = [said("y", "import", incident_id="b", origin="derived", is_gold=True)]
    await store.record(again, taxonomy="t")

    entries = (await store.audit.list(10)).entries
    assert [entry.action for entry in entries] == ["label.given", "labels.imported", "labels.imported"]
    assert entries[-1].details == {"incidents": 2, "labels": 2, "annotators": ["import"]}
    assert (entries[0].incident_id, entries[0].details["gold_before"]) == ("b", ["x"])


async def test_the_log_is_read_in_pages_by_incident_and_by_team(store: Store) -> None:
    for n in range(5):
        await store.record([said(f"label{n}")], is_interactive=True)
    first = await store.audit.list(3)
    second = await store.audit.list(3, first.next_cursor)

    assert [entry.details["after"][0][-1] for entry in (*first.entries, *second.entries)] == list("43210")
    assert second.next_cursor is None
    assert (await store.audit.list(3, incident_id="b")).entries == ()
    assert len((await store.audit.list(9, teams=["payments"])).entries) == 5
    assert (await store.audit.list(9, teams=["default"])).entries == ()
    with pytest.raises(InvalidInput, match="cursor"):
        await store.audit.list(3, "nonsense")


async def test_a_change_of_a_secret_is_written_down_without_the_secret(store: Store) -> None:
    subscription, _ = await store.subscriptions.create("https://receiver.example/hook", "payments")
    source, _ = await store.webhook_sources.create("generic", "payments")
    with acting_as("key:1 ann"):
        rotated = await store.subscriptions.rotate_secret(subscription.id)
        await store.webhook_sources.set_secret(source.id, "a secret of the sender's")

    entries = (await store.audit.list(2, teams=["payments"])).entries
    assert [(each.actor, each.action, each.details) for each in entries] == [
        ("key:1 ann", "webhook_source.secret_changed", {"id": source.id}),
        ("key:1 ann", "subscription.secret_changed", {"id": subscription.id}),
    ]
    assert (await store.subscriptions.get_secrets(subscription.id))[0] == rotated
    for change in (store.subscriptions.rotate_secret("sub_x"), store.webhook_sources.set_secret("src_x", "x" * 20)):
        with pytest.raises(NotFound):
            await change
