"""Compare two OpenAPI descriptions of the API, and name the changes that break clients."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

Direction = Literal["request", "response"]
Schema = Mapping[str, Any]
Above = frozenset[tuple[str, str]]
"""The pairs of schemas that are being compared: schemas may be recursive."""

_METHODS = ("get", "put", "post", "delete", "patch")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_CHOICES = ("anyOf", "oneOf")


class Break(NamedTuple):
    """A change that breaks clients."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def normalised(description: Mapping[str, Any]) -> str:
    """An OpenAPI description as text that does not depend on the order of its members or the release."""
    kept = {**description, "info": {**description["info"], "version": "1"}}
    return json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def breaks(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Break]:
    """The changes in `after` that break clients written for `before`.

    Requests may allow more but must not demand more; responses must not lack anything. New members, error statuses and
    enumeration values in responses don't count: clients must tolerate what they don't know.
    """
    return list(_Comparison(before, after).breaks())


class _Comparison:
    def __init__(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        self._before = before
        self._after = after

    def breaks(self) -> Iterator[Break]:
        for path, item in self._before["paths"].items():
            for method in (method for method in _METHODS if method in item):
                where = f"{method.upper()} {path}"
                now = self._after["paths"].get(path, {}).get(method)
                if now is None:
                    yield Break(where, "is gone")
                else:
                    yield from self._operation(where, item[method], now)

    def _operation(self, where: str, before: Schema, after: Schema) -> Iterator[Break]:
        yield from self._parameters(where, before.get("parameters", ()), after.get("parameters", ()))
        yield from self._body(where, before.get("requestBody"), after.get("requestBody"))
        for status, response in before["responses"].items():
            now = after["responses"].get(status)
            if now is None:
                # An error that no longer happens breaks no client.
                if status.startswith(("2", "3")):
                    yield Break(f"{where} {status}", "is gone")
                continue
            yield from self._contents(f"{where} {status}", response, now, "response")
            for name in response.get("headers", {}):
                if name not in now.get("headers", {}):
                    yield Break(f"{where} {status}", f"header {name} is gone")

    def _parameters(self, where: str, before: Sequence[Schema], after: Sequence[Schema]) -> Iterator[Break]:
        known = {(each["in"], each["name"]): each for each in before}
        now = {(each["in"], each["name"]): each for each in after}
        for key, parameter in known.items():
            at = f"{where} {key[0]} {key[1]}"
            if key not in now:
                yield Break(at, "is gone")
                continue
            if now[key].get("required") and not parameter.get("required"):
                yield Break(at, "is required now")
            yield from self._schemas(at, parameter.get("schema", {}), now[key].get("schema", {}), "request")
        for key in now.keys() - known.keys():
            if now[key].get("required"):
                yield Break(f"{where} {key[0]} {key[1]}", "is new and required")

    def _body(self, where: str, before: Schema | None, after: Schema | None) -> Iterator[Break]:
        if before is None:
            if after is not None and after.get("required"):
                yield Break(f"{where} body", "is new and required")
            return
        if after is None:
            yield Break(f"{where} body", "is gone")
            return
        if after.get("required") and not before.get("required"):
            yield Break(f"{where} body", "is required now")
        yield from self._contents(f"{where} body", before, after, "request")

    def _contents(self, where: str, before: Schema, after: Schema, direction: Direction) -> Iterator[Break]:
        for kind, content in before.get("content", {}).items():
            now = after.get("content", {}).get(kind)
            if now is None:
                yield Break(where, f"{kind} is gone")
            else:
                yield from self._schemas(where, content.get("schema", {}), now.get("schema", {}), direction)

    def _schemas(
        self, where: str, before: Schema, after: Schema, direction: Direction, above: Above = frozenset()
    ) -> Iterator[Break]:
        # Schemas may be recursive, also where only one side is a reference: don't start the same comparison again.
        pair = (str(before), str(after))
        if pair in above:
            return
        above |= {pair}
        before, after = _resolved(self._before, before), _resolved(self._after, after)
        yield from _types(where, before, after, direction)
        yield from _values(where, before, after, direction)
        yield from _limits(where, before, after, direction)
        yield from self._members(where, before, after, direction, above)
        if "items" in before and "items" in after:
            yield from self._schemas(f"{where}[]", before["items"], after["items"], direction, above)
        one, other = before.get("additionalProperties"), after.get("additionalProperties")
        if isinstance(one, dict) and isinstance(other, dict):
            yield from self._schemas(f"{where}.*", one, other, direction, above)
        if direction == "request" and other is False and one is not False:
            yield Break(where, "allows no other members now")
        yield from self._choices(where, before, after, direction, above)

    def _members(
        self, where: str, before: Schema, after: Schema, direction: Direction, above: Above
    ) -> Iterator[Break]:
        known, now = before.get("properties", {}), after.get("properties", {})
        was_required, is_required = set(before.get("required", ())), set(after.get("required", ()))
        for name, schema in known.items():
            at = f"{where}.{name}"
            if name not in now:
                # An unused request member is harmless unless the service refuses it.
                if direction == "response" or after.get("additionalProperties") is False:
                    yield Break(at, "is gone")
                continue
            if direction == "response" and name in was_required - is_required:
                yield Break(at, "may be missing now")
            yield from self._schemas(at, schema, now[name], direction, above)
        if direction == "request":
            for name in sorted(is_required - was_required):
                yield Break(f"{where}.{name}", "is required now")

    def _choices(
        self, where: str, before: Schema, after: Schema, direction: Direction, above: Above
    ) -> Iterator[Break]:
        if not any(key in schema for schema in (before, after) for key in _CHOICES):
            return
        one, other = _alternatives(before), _alternatives(after)
        # Each schema of the narrower side (sent before, or answered now) must fit one of the wider side.
        sent, allowed = (one, other) if direction == "request" else (other, one)
        for schema in sent:
            pairs = [(schema, each) if direction == "request" else (each, schema) for each in allowed]
            fits = any(not list(self._schemas(where, *pair, direction, above)) for pair in pairs)
            if not fits:
                kind = schema.get("$ref", "").rpartition("/")[2] or schema.get("type") or "one of its forms"
                yield Break(where, f"{kind} is {'not allowed any more' if direction == 'request' else 'new here'}")


def _types(where: str, before: Schema, after: Schema, direction: Direction) -> Iterator[Break]:
    one, other = _type_set(before), _type_set(after)
    narrow, wide = (one, other) if direction == "request" else (other, one)
    if wide is None or any(key in schema for schema in (before, after) for key in _CHOICES):
        return
    if narrow is None or not narrow <= wide | ({"integer"} if "number" in wide else set()):
        yield Break(where, f"is {_type_names(other)} now and was {_type_names(one)}")


def _values(where: str, before: Schema, after: Schema, direction: Direction) -> Iterator[Break]:
    one, other = _enumerated(before), _enumerated(after)
    if direction == "response" or other is None:
        return
    if one is None:
        yield Break(where, "allows only certain values now")
    for value in one or ():
        if value not in other:
            yield Break(where, f"{value!r} is not allowed any more")


def _limits(where: str, before: Schema, after: Schema, direction: Direction) -> Iterator[Break]:
    if direction == "response":
        return
    for name in _UPPER + _LOWER:
        if name not in after:
            continue
        limit, old = after[name], before.get(name)
        is_no_limit = name in ("minLength", "minItems") and limit == 0
        if not is_no_limit and (old is None or (limit < old if name in _UPPER else limit > old)):
            yield Break(where, f"{name} is {limit} now and was {'none' if old is None else old}")
    for name in ("pattern", "format"):
        if name in after and after[name] != before.get(name):
            yield Break(where, f"{name} is {after[name]!r} now and was {before.get(name, 'none')!r}")


def _resolved(document: Mapping[str, Any], schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        schema = found
    return schema


def _alternatives(schema: Schema) -> list[Schema]:
    for key in _CHOICES:
        if key in schema:
            return list(schema[key])
    return [schema]


def _type_set(schema: Schema) -> set[str] | None:
    """The types that a schema allows; None for any."""
    kind = schema.get("type")
    return None if kind is None else {kind} if isinstance(kind, str) else set(kind)


def _type_names(types: set[str] | None) -> str:
    return "anything" if types is None else " or ".join(sorted(types))


def _enumerated(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")
