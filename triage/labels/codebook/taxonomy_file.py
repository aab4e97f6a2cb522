"""Writes deciding rules into a copy of a taxonomy's YAML file, leaving everything else unchanged."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import yaml

from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Taxonomy

_WIDTH = 118


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def write_rules(source: str, rules: Mapping[tuple[str, str], str], path: Path) -> Taxonomy:
    """Write the taxonomy `source` (an id or a YAML file) to `path` with new deciding rules and the next minor version.

    `rules` maps (facet id, label id) to the complete new rule. Comments, order and layout are kept. Returns the new
    taxonomy. Raises `InvalidInput` if several labels share a rule, or if `path` is the source itself.
    """
    file = Path(source)
    if not source.endswith((".yaml", ".yml")):
        file = Path(str(resources.files("triage").joinpath("taxonomies", f"{source}.yaml")))
    if path.resolve() == file.resolve():
        raise InvalidInput(f"{path} is the source taxonomy. Give the new file another name.", field="write")
    text = file.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root is not None  # noqa: S101 - the file was read as a taxonomy before
    version = _value(root, "version")
    edits = [_Edit(version.start_mark.index, version.end_mark.index, raised(str(version.value)))]
    edits += _rule_edits(root, rules, file)
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    path.write_text(text, encoding="utf-8")
    return Taxonomy.load(path)


def raised(version: str) -> str:
    """The next minor version: a rule changes which labels are given, but no label name.

    >>> raised("1.0.3")
    '1.1.0'
    """
    major, minor, _ = version.split(".")
    return f"{major}.{int(minor) + 1}.0"


def _rule_edits(root: yaml.Node, rules: Mapping[tuple[str, str], str], file: Path) -> Iterator[_Edit]:
    for facet in _items(root, "facets"):
        facet_id = _value(facet, "id").value
        for label in _items(facet, "labels"):
            rule = rules.get((facet_id, _value(label, "id").value))
            if rule is None:
                continue
            try:
                node = _value(label, "deciding_rule")
            except KeyError as error:
                raise InvalidInput(
                    f"{file}: the deciding rule of {_value(label, 'id').value!r} is shared with other labels (<<). "
                    "Write it out for each label first.",
                    field="taxonomy",
                ) from error
            ends_line = "\n" if getattr(node, "style", None) in ("|", ">") else ""
            # Continuation lines are indented one level more than the label's keys.
            indent = " " * (label.start_mark.column + 2)
            yield _Edit(node.start_mark.index, node.end_mark.index, _quoted(rule, indent) + ends_line)


def _quoted(rule: str, indent: str) -> str:
    """The rule as a single-quoted scalar, folded over lines."""
    escaped = " ".join(rule.split()).replace("'", "''")
    lines = textwrap.wrap(
        f"'{escaped}'", _WIDTH - len(indent), break_long_words=False, break_on_hyphens=False, initial_indent=" " * 15
    )
    return f"\n{indent}".join(line.strip() for line in lines)


def _value(node: yaml.Node, key: str) -> yaml.Node:
    assert isinstance(node, yaml.MappingNode)  # noqa: S101
    values: dict[str, yaml.Node] = {name.value: value for name, value in node.value}
    return values[key]


def _items(node: yaml.Node, key: str) -> list[yaml.Node]:
    return list(_value(node, key).value)
