from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.parts import KeywordPipeline

WAIT = {"Prefer": "wait=15"}


@pytest.fixture
def name() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


def write_up(name: str) -> str:
    return f"A network switch of {name} lost its uplinks."


def test_an_incident_is_accepted_with_its_place_and_its_status(client: httpx.Client, name: str) -> None:
    posted = client.post("/v1/incidents", json={"id": name, "write_up": write_up(name)})

    assert posted.status_code == 202
    assert posted.headers["location"] == f"/v1/incidents/{name}"
    assert posted.json()["status"] == "pending"
    assert client.get(posted.json()["links"]["triage"], headers=WAIT).status_code == 200
    assert client.get(posted.headers["location"]).json()["incident"]["write_up"] == write_up(name)


def test_a_client_that_prefers_to_wait_gets_the_triage(client: httpx.Client, name: str) -> None:
    posted = client.post("/v1/incidents", json={"id": name, "write_up": write_up(name)}, headers=WAIT)

    assert posted.status_code == 200
    assert posted.headers["preference-applied"] == "wait=15"
    assert posted.headers["content-location"] == f"/v1/incidents/{name}/triage"
    assert posted.json()["facets"]["category"]["labels"] == ["infrastructure"]
    assert posted.json() == client.get(f"/v1/incidents/{name}/triage").json()


def test_a_wait_is_bounded_and_a_triage_that_takes_longer_is_answered_with_202(client: httpx.Client, name: str) -> None:
    posted = client.post(
        "/v1/incidents",
        json={"id": name, "write_up": "It went slowly."},
        headers={"Prefer": "respond-async, wait=0"},
    )
    assert (posted.status_code, posted.headers["preference-applied"]) == (202, "wait=0")
    assert "content-location" not in posted.headers

    pending = client.get(f"/v1/incidents/{name}/triage")
    assert (pending.status_code, pending.json()["status"]) == (202, "pending")
    assert int(pending.headers["retry-after"]) > 0

    done = client.get(f"/v1/incidents/{name}/triage", headers={"Prefer": "wait=99999"})
    assert (done.status_code, done.headers["preference-applied"]) == (200, "wait=20")


def test_a_preference_that_cannot_be_understood_is_ignored(client: httpx.Client, name: str) -> None:
    posted = client.post(
        "/v1/incidents", json={"id": name, "write_up": write_up(name)}, headers={"Prefer": "wait=soon"}
    )
    assert posted.status_code == 202
    assert "preference-applied" not in posted.headers


def test_the_same_incident_posted_again_is_not_triaged_again(
    client: httpx.Client, pipeline: KeywordPipeline, name: str
) -> None:
    first = client.post("/v1/incidents", json={"id": name, "write_up": write_up(name)}, headers=WAIT)
    again = client.post("/v1/incidents", json={"id": name, "write_up": write_up(name)})

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert pipeline.seen.count(name) == 1


def test_the_same_text_gets_the_same_id_whatever_its_line_ends(client: httpx.Client, name: str) -> None:
    text = f"First line of {name}.\nSecond line."
    one = client.post("/v1/incidents", json={"write_up": text})
    other = client.post("/v1/incidents", content=text.replace("\n", "\r\n"), headers={"Content-Type": "text/plain"})

    assert one.status_code == 202
    assert other.status_code in (200, 202)
    assert one.headers["location"] == other.headers["location"]


def test_an_id_with_other_content_is_a_conflict(client: httpx.Client, name: str) -> None:
    client.post("/v1/incidents", json={"id": name, "write_up": write_up(name)})
    other = client.post("/v1/incidents", json={"id": name, "write_up": "Something else."})

    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"
    assert other.json()["fields"] == ["write_up"]
    assert client.get(f"/v1/incidents/{name}").json()["incident"]["write_up"] == write_up(name)


def test_an_idempotency_key_is_the_id_where_the_body_has_none(client: httpx.Client, name: str) -> None:
    posted = client.post("/v1/incidents", json={"write_up": write_up(name)}, headers={"Idempotency-Key": f'"{name}"'})
    assert posted.headers["location"] == f"/v1/incidents/{name}"

    bad = client.post("/v1/incidents", json={"write_up": write_up(name)}, headers={"Idempotency-Key": "a b/c"})
    assert bad.status_code == 422
    assert bad.json()["errors"][0]["field"] == "Idempotency-Key"


def test_a_key_with_the_same_body_has_the_same_answer_and_with_another_it_is_a_conflict(
    client: httpx.Client, pipeline: KeywordPipeline, name: str
) -> None:
    key = {"Idempotency-Key": name, **WAIT}
    first, again = (client.post("/v1/incidents", json={"write_up": write_up(name)}, headers=key) for _ in range(2))
    other = client.post("/v1/incidents", json={"write_up": "Something else."}, headers=key)

    assert (first.status_code, again.status_code, other.status_code) == (200, 200, 409)
    assert first.json() == again.json()
    assert name in other.json()["detail"]
    assert other.json()["fields"] == ["write_up"]
    assert pipeline.seen.count(name) == 1


def test_the_id_in_the_body_counts_beside_a_key(client: httpx.Client, name: str) -> None:
    body = {"id": name, "write_up": write_up(name)}
    one, other = (client.post("/v1/incidents", json=body, headers={"Idempotency-Key": key}) for key in ("k1", "k2"))
    assert one.headers["location"] == other.headers["location"] == f"/v1/incidents/{name}"


def test_of_requests_with_one_key_at_once_all_have_the_same_answer_and_one_triage(
    client: httpx.Client, pipeline: KeywordPipeline, name: str
) -> None:
    def post(n: int) -> httpx.Response:
        key = {"Idempotency-Key": name, **WAIT}
        return client.post("/v1/incidents", json={"write_up": write_up(f"{name} {n // 4}")}, headers=key)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))

    assert sorted(each.status_code for each in answers) == [200] * 4 + [409] * 4
    assert len({each.text for each in answers if each.status_code == 200}) == 1
    assert pipeline.seen.count(name) == 1


def test_markdown_has_its_heading_as_title(client: httpx.Client, name: str) -> None:
    posted = client.post(
        "/v1/incidents",
        content=f"# Zone {name} unreachable\n\nA switch failed.\n".encode(),
        headers={"Content-Type": "text/markdown; charset=UTF-8"},
    )
    incident = client.get(posted.headers["location"]).json()["incident"]
    assert (incident["title"], incident["write_up"].strip()) == (f"Zone {name} unreachable", "A switch failed.")


def test_times_come_back_in_utc(client: httpx.Client, name: str) -> None:
    client.post(
        "/v1/incidents", json={"id": name, "write_up": write_up(name), "started_at": "2026-03-02T18:00:00+09:00"}
    )
    assert client.get(f"/v1/incidents/{name}").json()["incident"]["started_at"] == "2026-03-02T09:00:00Z"


def test_a_triage_that_fails_for_good_says_why_and_can_be_asked_for_again(
    client: httpx.Client, pipeline: KeywordPipeline, name: str
) -> None:
    pipeline.failures = 1
    body = {"id": name, "write_up": f"Words of {name} that trip the pipeline."}
    failed = client.post("/v1/incidents", json=body, headers=WAIT)

    assert failed.status_code == 500
    assert failed.json()["type"] == "urn:triage:problem:triage_failed"
    assert "(RuntimeError)" in failed.json()["detail"]
    assert client.get(f"/v1/incidents/{name}").json()["status"] == "failed"
    assert client.post("/v1/incidents", json=body, headers=WAIT).status_code == 200


def test_incidents_are_listed_newest_first_in_pages(client: httpx.Client, name: str) -> None:
    for n in range(3):
        client.post("/v1/incidents", json={"id": f"{name}-{n}", "write_up": write_up(name)})
    first = client.get("/v1/incidents", params={"limit": 2}).json()
    second = client.get("/v1/incidents", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [i["id"] for i in first["incidents"]] == [f"{name}-2", f"{name}-1"]
    assert second["incidents"][0]["id"] == f"{name}-0"
    assert "write_up" not in first["incidents"][0]


@pytest.mark.parametrize(
    ("params", "field"),
    [({"limit": 0}, "limit"), ({"limit": "x"}, "limit"), ({"cursor": "x"}, "cursor"), ({"status": "gone"}, "status")],
)
def test_a_wrong_query_names_its_field(client: httpx.Client, params: dict[str, str], field: str) -> None:
    answer = client.get("/v1/incidents", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field


def test_a_gold_annotation_joins_the_history_at_once(client: httpx.Client, name: str) -> None:
    client.post(
        "/v1/incidents", json={"id": name, "title": f"Outage {name}", "write_up": f"Unusual words: {name} zyzzyva."}
    )
    posted = client.post(
        f"/v1/incidents/{name}/annotations",
        json={"facet": "category", "labels": ["Infrastructure"], "annotator": "ada", "is_gold": True},
    )
    assert posted.status_code == 201
    assert posted.json()["annotations"][0]["labels"] == ["infrastructure"]
    assert posted.json()["annotations"][0]["origin"] == "human"

    found = client.post("/v1/search", json={"text": f"Unusual words: {name} zyzzyva.", "k": 1}).json()["neighbours"]
    assert (found[0]["incident_id"], found[0]["labels"]) == (name, {"category": ["infrastructure"]})
    assert client.get(f"/v1/incidents/{name}/annotations").json() == posted.json()


def test_a_list_of_annotations_is_stored_whole_or_not_at_all(client: httpx.Client, name: str) -> None:
    client.post("/v1/incidents", json={"id": name, "write_up": write_up(name)})
    good = {"facet": "category", "labels": ["infrastructure"], "annotator": "ada"}
    bad = good | {"labels": ["infrastrukture"]}

    refused = client.post(f"/v1/incidents/{name}/annotations", json=[good, bad])

    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:triage:problem:unknown_label"
    assert "infrastructure" in refused.json()["detail"]
    assert client.get(f"/v1/incidents/{name}/annotations").json()["annotations"] == []


@pytest.mark.parametrize(
    "path", ["/v1/incidents/nobody", "/v1/incidents/nobody/triage", "/v1/incidents/nobody/annotations"]
)
def test_what_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["instance"] == path
    assert "nobody" in answer.json()["detail"]
