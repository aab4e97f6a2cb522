from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.server.api.test_bad_input import check_problem

WAIT = {"Prefer": "wait=15"}
LABEL = {"facet": "category", "labels": ["infrastructure"], "annotator": "ada"}


@pytest.fixture
def name(client: httpx.Client) -> str:
    name = f"e-{uuid.uuid4().hex[:12]}"
    client.post("/v1/incidents", json={"id": name, "write_up": f"A switch of {name} failed."}, headers=WAIT)
    return name


@pytest.mark.parametrize(
    "path",
    ["/v1/incidents/{}", "/v1/incidents/{}/triage", "/v1/incidents/{}/annotations", "/v1/taxonomies/llm_inference"],
)
def test_what_a_client_has_already_is_not_sent_again(client: httpx.Client, name: str, path: str) -> None:
    first = client.get(path.format(name))
    tag = first.headers["etag"]
    assert tag.startswith('"')

    again = client.get(path.format(name), headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(path.format(name), headers={"If-None-Match": '"other"'}).json() == first.json()
    assert client.get(path.format(name), headers={"If-None-Match": "*"}).status_code == 304


def test_the_tag_of_annotations_changes_with_them_and_the_tag_of_the_triage_does_not(
    client: httpx.Client, name: str
) -> None:
    place, triage = f"/v1/incidents/{name}/annotations", f"/v1/incidents/{name}/triage"
    before, triaged = client.get(place).headers["etag"], client.get(triage).headers["etag"]
    client.post(place, json=LABEL)

    assert client.get(place).headers["etag"] != before
    assert client.get(triage).headers["etag"] == triaged


def test_a_label_given_for_annotations_that_changed_meanwhile_is_refused(client: httpx.Client, name: str) -> None:
    place = f"/v1/incidents/{name}/annotations"
    tag = client.get(place).headers["etag"]
    assert client.post(place, json=LABEL, headers={"If-Match": tag}).status_code == 201

    late = LABEL | {"annotator": "grace", "labels": ["operational"]}
    check_problem(client.post(place, json=late, headers={"If-Match": tag}), 412)
    assert [each["annotator"] for each in client.get(place).json()["annotations"]] == ["ada"]

    assert client.post(place, json=late, headers={"If-Match": client.get(place).headers["etag"]}).status_code == 201
    check_problem(client.post(place, json=late, headers={"If-Match": "yesterday's"}), 422, "If-Match")


def test_of_several_who_label_at_once_on_the_same_ground_one_gets_through(client: httpx.Client, name: str) -> None:
    place = f"/v1/incidents/{name}/annotations"
    tag = client.get(place).headers["etag"]

    def label(annotator: str) -> int:
        return client.post(place, json=LABEL | {"annotator": annotator}, headers={"If-Match": tag}).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(label, ["ada", "grace", "lin", "mary"]))
    assert statuses == [201, 412, 412, 412]


def test_the_same_annotation_posted_again_is_kept_once(client: httpx.Client, name: str) -> None:
    place = f"/v1/incidents/{name}/annotations"
    first, again = (client.post(place, json=LABEL, headers={"Idempotency-Key": "label-1"}) for _ in range(2))

    assert first.json() == again.json()
    assert len(client.get(place).json()["annotations"]) == 1
