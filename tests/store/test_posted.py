from __future__ import annotations

from datetime import UTC, datetime, timedelta

from triage.domain.incident import Incident
from triage.domain.triage_result import Provenance, Triage
from triage.store import Pending, Store

LATER = datetime(2030, 1, 1, tzinfo=UTC)


async def accept(store: Store, *names: str, team: str = "default") -> None:
    for name in names:
        await store.incidents.add(Incident(id=name, title=name.upper(), write_up=f"Write-up of {name}."), "t", team)


def triage(name: str, **more: object) -> Triage:
    provenance = Provenance(taxonomy="t", taxonomy_version="1.0.0")
    return Triage.model_validate({"incident_id": name, "facets": {}, "provenance": provenance} | more)


async def test_what_was_posted_is_listed_newest_first_whatever_its_state_and_the_history_is_not(
    store: Store,
) -> None:
    await accept(store, "done", "worse", "waits", "fails")
    await store.triages.save("done", triage("done"))
    await store.triages.save("worse", triage("worse", degraded=True, degraded_reason="The model was away."))
    await store.attempts.fail(Pending("fails", 0), "It tripped.", LATER)
    await store.record([], imported={"old": Incident(id="old", write_up="Long ago.")}, taxonomy="t")

    listed = await store.incidents.list_posted(10)

    assert [(one.id, one.title, one.status, one.degraded) for one in listed] == [
        ("fails", "FAILS", "failed", None),
        ("waits", "WAITS", "pending", None),
        ("worse", "WORSE", "triaged", True),
        ("done", "DONE", "triaged", False),
    ]
    assert listed[0].retry_at == LATER
    assert [one.id for one in await store.incidents.list_posted(2)] == ["fails", "waits"]


async def test_what_was_posted_is_listed_of_the_teams_that_may_be_seen(store: Store) -> None:
    await accept(store, "ours", team="payments")
    await accept(store, "theirs", team="billing")

    assert [one.id for one in await store.incidents.list_posted(10, {"payments"})] == ["ours"]
    assert [one.team for one in await store.incidents.list_posted(10)] == ["billing", "payments"]
    assert await store.incidents.list_posted(10, set()) == []


async def test_the_triages_of_an_incident_are_listed_with_their_runs_newest_first(store: Store) -> None:
    await accept(store, "a", "b")
    made = datetime(2026, 3, 2, tzinfo=UTC)
    for run, name in (("a", "a"), ("b", "b"), ("a~2", "a"), ("a~3", "a")):
        made += timedelta(hours=1)
        await store.triages.save(run, triage(name, created_at=made))

    assert [one.run_id for one in await store.triages.list("a", 10)] == ["a~3", "a~2", "a"]
    assert [one.triage.created_at.hour for one in await store.triages.list("a", 2)] == [4, 3]
    assert await store.triages.list("none", 10) == []


async def test_the_notifications_of_an_incident_are_listed_whoever_is_told(store: Store) -> None:
    await accept(store, "a", "b")
    for path in ("first", "second"):
        await store.subscriptions.create(f"https://a.example/{path}", "default")
    for name in ("a", "b"):
        await store.triages.save(name, triage(name))

    told = await store.notifications.list(incident_id="a")

    assert [(one.incident_id, one.event, one.state) for one in told] == [("a", "triaged", "waiting")] * 2
    assert len({one.subscription_id for one in told}) == 2
    assert len(await store.notifications.list(incident_id="a", limit=1)) == 1
