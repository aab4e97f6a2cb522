from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.api.contract import breaks
from tests.server.api.write_contract import DESCRIPTION, broken, description

OBJECT = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 10},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "n": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
    },
    "required": ["name"],
}


def api(request: Any = None, response: Any = None) -> dict[str, Any]:
    """A description with one operation, whose body and answer are things of these schemas."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
    answer = {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}
    operation = {
        "parameters": [{"in": "query", "name": "q", "required": False, "schema": {"type": "string"}}],
        "requestBody": {"required": False, "content": content},
        "responses": {"200": {"content": answer, "headers": {"ETag": {}}}, "404": {}},
    }
    own = json.loads(json.dumps(OBJECT).replace("/Thing", "/Answer"))
    schemas = {"Thing": copy.deepcopy(request or OBJECT), "Answer": copy.deepcopy(response or own)}
    return {"info": {}, "paths": {"/things": {"post": operation, "get": operation}}, "components": {"schemas": schemas}}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The description with another value at `path` (parts joined by spaces); None takes it away."""
    made: Any = copy.deepcopy(api())
    *parents, last = path.split(" ")
    place = made
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    key: Any = int(last) if isinstance(place, list) else last
    if value is None:
        del place[key]
    else:
        place[key] = value
    return made


THING, ANSWER = "components schemas Thing", "components schemas Answer"
POST = "paths /things post"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("paths /things", None, "is gone"),
        (f"{POST}", None, "is gone"),
        (f"{POST} responses 200", None, "200: is gone"),
        (f"{POST} responses 200 headers ETag", None, "header ETag is gone"),
        (f"{POST} responses 200 content application/json", None, "application/json is gone"),
        (f"{POST} parameters 0", None, "query q: is gone"),
        (f"{POST} parameters 0 required", True, "is required now"),
        (f"{POST} parameters 0 schema type", "integer", "is integer now and was string"),
        (f"{POST} parameters 0 schema pattern", "^a", "pattern"),
        (f"{POST} requestBody", None, "body: is gone"),
        (f"{POST} requestBody required", True, "is required now"),
        (f"{POST} requestBody content application/json", None, "application/json is gone"),
        (f"{THING} required", ["name", "kind"], "kind: is required now"),
        (f"{THING} additionalProperties", False, "allows no other members now"),
        (f"{THING} properties name maxLength", 9, "maxLength is 9 now and was 10"),
        (f"{THING} properties name minLength", 1, "minLength is 1 now and was none"),
        (f"{THING} properties name type", "integer", "is integer now"),
        (f"{THING} properties name enum", ["x"], "allows only certain values"),
        (f"{THING} properties kind enum", ["a"], "'b' is not allowed any more"),
        (f"{THING} properties n", {"type": "integer"}, "null is not allowed any more"),
        (f"{THING} properties parts items", {"type": "string"}, "parts[]"),
        (f"{ANSWER} properties name", None, "name: is gone"),
        (f"{ANSWER} required", [], "name: may be missing now"),
        (f"{ANSWER} properties name type", ["string", "null"], "is null or string now"),
        (f"{ANSWER} properties name", {"anyOf": [{"type": "string"}, {"type": "null"}]}, "null is new here"),
    ],
)
def test_a_change_that_breaks_clients_is_named(path: str, value: Any, said: str) -> None:
    found = [str(each) for each in breaks(api(), changed(path, value))]
    assert any(said in each for each in found), found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("paths /new", {"get": {"responses": {}}}),
        (f"{POST} responses 404", None),
        (f"{POST} responses 429", {}),
        (f"{POST} parameters 0 schema type", ["string", "null"]),
        (f"{THING} required", []),
        (f"{THING} properties name", None),
        (f"{THING} properties name maxLength", None),
        (f"{THING} properties name maxLength", 20),
        (f"{THING} properties name minLength", 0),
        (f"{THING} properties kind enum", ["a", "b", "c"]),
        (f"{ANSWER} required", ["name", "kind"]),
        (f"{ANSWER} properties kind enum", ["a", "b", "c"]),
        (f"{ANSWER} properties n", {"type": "integer"}),
        (f"{ANSWER} properties name maxLength", 5),
    ],
)
def test_a_change_that_clients_bear_is_none(path: str, value: Any) -> None:
    assert breaks(api(), changed(path, value)) == []


_LEAVES = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["string", "integer", "number", "boolean", "null"])}),
    st.fixed_dictionaries({"type": st.just("string")}, optional={"maxLength": st.integers(0, 9)}),
    st.fixed_dictionaries({"enum": st.lists(st.text(max_size=3), min_size=1, unique=True)}),
    st.sampled_from([{}, {"$ref": "#/components/schemas/Thing"}]),
)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def made(properties: dict[str, Any]) -> st.SearchStrategy[Any]:
        names = st.lists(st.sampled_from(sorted(properties) or ["x"]), unique=True)
        return names.map(lambda required: {"type": "object", "properties": properties, "required": required})

    return st.dictionaries(st.sampled_from("abcde"), inner, max_size=4).flatmap(made)


_SCHEMAS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        _objects(inner),
        inner.map(lambda items: {"type": "array", "items": items}),
        st.lists(inner, min_size=1, max_size=3).map(lambda choices: {"anyOf": choices}),
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(thing=_objects(_SCHEMAS), answer=_objects(_SCHEMAS))
def test_an_api_does_not_break_its_own_clients_nor_does_a_member_more(thing: Any, answer: Any) -> None:
    before = api(thing, answer)
    assert breaks(before, before) == []
    after = copy.deepcopy(before)
    for name in ("Thing", "Answer"):
        after["components"]["schemas"][name]["properties"]["new"] = {"type": "string"}
    assert breaks(before, after) == []


@pytest.fixture(scope="module")
def now() -> str:
    return description()


def test_the_committed_description_is_the_one_of_this_version(now: str) -> None:
    assert now == DESCRIPTION.read_text(encoding="utf-8"), "run `make contract`"


def test_clients_of_the_committed_description_are_not_broken(now: str) -> None:
    found = broken(now)
    assert not found, "\n".join(map(str, found))
