from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from triage.domain.annotation import Annotation
from triage.domain.errors import NotFound
from triage.domain.incident import Incident
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.store import Pending, Store
from triage.store.encryption import Cipher
from triage.store.tables import subscription_table

LEASE = timedelta(seconds=60)


def now() -> datetime:
    return datetime.now(UTC)


async def accept(store: Store, incident_id: str = "a", team: str = "default") -> None:
    await store.incidents.add(Incident(id=incident_id, write_up="All fell over."), "llm_inference", team)


def triage(incident_id: str = "a", label: str = "infrastructure") -> Triage:
    return Triage(
        incident_id=incident_id,
        facets={"category": FacetResult(facet="category", labels=(label,))},
        provenance=Provenance(taxonomy="llm_inference", taxonomy_version="1.0.0"),
    )


async def test_a_stored_triage_is_told_once_to_each_subscription_of_its_team(store: Store) -> None:
    first, _ = await store.subscriptions.create("https://a.example/1", "payments")
    second, _ = await store.subscriptions.create("https://a.example/2", "payments", "slack")
    elsewhere, _ = await store.subscriptions.create("https://a.example/3", "search")
    failures, _ = await store.subscriptions.create("https://a.example/4", "payments", events=["failed"])
    await accept(store, team="payments")

    await store.triages.save("a", triage())
    await store.triages.save("a", triage())

    told = {s.id: await store.notifications.list(subscription_id=s.id) for s in (first, second, elsewhere, failures)}
    assert [len(each) for each in told.values()] == [1, 1, 0, 0]
    assert told[first.id][0].event == "triaged"
    assert told[first.id][0].id != told[second.id][0].id
    assert store.notifications.added.is_set()


async def test_what_an_inactive_subscription_missed_is_not_told(store: Store) -> None:
    subscription, _ = await store.subscriptions.create("https://a.example", "default")
    await accept(store)
    await accept(store, "b")
    await store.triages.save("a", triage())
    await store.subscriptions.deactivate(subscription.id, "It is gone.")
    await store.triages.save("b", triage("b"))

    (told,) = await store.notifications.list(subscription_id=subscription.id)
    assert (told.incident_id, told.state, told.failure) == ("a", "failed", "It is gone.")
    assert await store.notifications.claim(now(), LEASE, 5, 5) == []


async def test_a_failure_is_told_when_no_other_attempt_follows(store: Store) -> None:
    subscription, _ = await store.subscriptions.create("https://a.example", "default")
    await accept(store)
    await store.attempts.fail(Pending("a", 0), "No model answers.", now())
    assert await store.notifications.list(subscription_id=subscription.id) == []

    await store.attempts.rearm(now())
    await store.attempts.fail(Pending("a", 1), "No model answers.", None)
    assert [n.event for n in await store.notifications.list(subscription_id=subscription.id)] == ["failed"]


async def test_a_gold_label_is_told_where_it_corrects_the_triage(store: Store) -> None:
    subscription, _ = await store.subscriptions.create("https://a.example", "default", events=["corrected"])
    await accept(store)
    await store.triages.save("a", triage(label="infrastructure"))

    def gold(label: str, annotator: str) -> Annotation:
        return Annotation(incident_id="a", facet="category", labels=(label,), annotator=annotator, is_gold=True)

    await store.record([gold("infrastructure", "ada")], is_interactive=True)
    assert await store.notifications.list(subscription_id=subscription.id) == []
    await store.record([gold("inference_engine", "lin")], is_interactive=True)
    await store.record([gold("inference_engine", "lin")], is_interactive=True)
    assert len(await store.notifications.list(subscription_id=subscription.id)) == 1


async def test_a_claim_is_not_claimed_again_before_its_lease_is_over(store: Store) -> None:
    await store.subscriptions.create("https://a.example", "default")
    await accept(store)
    await store.triages.save("a", triage())
    moment = now()

    (first,) = await store.notifications.claim(moment, LEASE, 5, 5)
    assert await store.notifications.claim(moment + LEASE / 2, LEASE, 5, 5) == []
    (second,) = await store.notifications.claim(moment + LEASE, LEASE, 5, 5)
    assert (second.id, second.attempt) == (first.id, 2)

    # The first process comes back late: its failure counts no more, its success does.
    await store.notifications.mark_failed(first, "late")
    assert (await store.notifications.list(subscription_id=first.subscription_id))[0].state == "waiting"
    await store.notifications.mark_delivered(first)
    await store.notifications.reschedule(second, "too late", moment)
    assert (await store.notifications.list(subscription_id=first.subscription_id))[0].state == "delivered"


async def test_one_subscription_does_not_use_up_the_claims_of_others(store: Store) -> None:
    crowded, _ = await store.subscriptions.create("https://a.example", "crowded")
    quiet, _ = await store.subscriptions.create("https://b.example", "quiet")
    for i in range(10):
        await accept(store, f"c{i}", "crowded")
        await store.triages.save(f"c{i}", triage(f"c{i}"))
    await accept(store, "q", "quiet")
    await store.triages.save("q", triage("q"))

    claimed = await store.notifications.claim(now(), LEASE, 2, 5)
    assert Counter(c.subscription_id for c in claimed) == {crowded.id: 2, quiet.id: 1}
    assert await store.notifications.claim(now(), LEASE, 2, 5, busy=[crowded.id]) == []


async def test_processes_that_claim_at_once_share_what_is_due(url: str, store: Store) -> None:
    await store.subscriptions.create("https://a.example", "default")
    for i in range(30):
        await accept(store, f"i{i}")
        await store.triages.save(f"i{i}", triage(f"i{i}"))
    other = Store(url)
    moment = now()

    async def claim_all(mine: Store) -> list[str]:
        ids: list[str] = []
        for _ in range(10):
            ids += [c.id for c in await mine.notifications.claim(moment, LEASE, 5, 5)]
        return ids

    one, two = await asyncio.gather(claim_all(store), claim_all(other))
    await other.close()
    assert set(Counter(one + two).values()) == {1}
    # Where both looked at the same rows one of them goes away empty-handed, and finds the rest later.
    rest = [c.id for _ in range(6) for c in await store.notifications.claim(moment, LEASE, 5, 5)]
    assert len({*one, *two, *rest}) == 30


async def test_what_is_sent_anew_is_due_at_once_under_its_id(store: Store) -> None:
    subscription, _ = await store.subscriptions.create("https://a.example", "default")
    await accept(store)
    await store.triages.save("a", triage())
    (claimed,) = await store.notifications.claim(now(), LEASE, 5, 5)
    await store.notifications.mark_failed(claimed, "500")

    again = await store.notifications.redeliver(subscription.id, claimed.id)
    assert (again.id, again.state, again.attempts) == (claimed.id, "waiting", 0)
    with pytest.raises(NotFound, match="There is no notification 'msg_0'"):
        await store.notifications.redeliver(subscription.id, "msg_0")


async def test_secrets_are_sealed_and_overlap_when_they_change(url: str) -> None:
    store = Store(url, Cipher([Fernet.generate_key().decode()]))
    subscription, secret = await store.subscriptions.create("https://a.example/hook", "default")
    async with store.database.engine.connect() as connection:
        kept = (await connection.execute(select(subscription_table.c.secret, subscription_table.c.url))).one()
    assert secret not in kept.secret
    assert "a.example" not in kept.url
    assert (await store.subscriptions.get(subscription.id)).url == "https://a.example/hook"
    assert await store.subscriptions.get_secrets(subscription.id) == (secret,)

    moment = now()
    newer = await store.subscriptions.rotate_secret(subscription.id, moment)
    assert await store.subscriptions.get_secrets(subscription.id, moment + timedelta(hours=23)) == (newer, secret)
    assert await store.subscriptions.get_secrets(subscription.id, moment + timedelta(hours=25)) == (newer,)
    await store.close()


async def test_a_removed_subscription_leaves_nothing_behind(store: Store) -> None:
    subscription, _ = await store.subscriptions.create("https://a.example", "default")
    await accept(store)
    await store.triages.save("a", triage())
    await store.subscriptions.delete(subscription.id)

    assert await store.subscriptions.list() == []
    assert await store.notifications.find_next_time() is None
    for forgotten in (store.subscriptions.delete, store.subscriptions.get_secrets, store.subscriptions.rotate_secret):
        with pytest.raises(NotFound, match=subscription.id):
            await forgotten(subscription.id)


async def test_a_source_is_found_with_its_secret_until_it_is_removed(store: Store) -> None:
    source, secret = await store.webhook_sources.create("grafana", "payments")
    chosen, given = await store.webhook_sources.create("pagerduty", "payments", "made-by-the-sender")

    assert await store.webhook_sources.find(source.id) == (source, secret)
    assert given == "made-by-the-sender"
    assert [s.id for s in await store.webhook_sources.list("payments")] == [source.id, chosen.id]
    await store.webhook_sources.delete(source.id)
    assert await store.webhook_sources.find(source.id) is None
