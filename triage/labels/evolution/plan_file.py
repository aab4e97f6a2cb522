"""Migration plans as YAML files that people read, correct and confirm."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from triage.domain.errors import Conflict, NotFound
from triage.domain.taxonomy import Taxonomy
from triage.domain.yaml_file import read_yaml
from triage.labels.evolution.plan import InvalidPlan, Plan, PlannedTaxonomy

_ENDINGS = (".yaml", ".yml")
_HEADER = """\
# What becomes of every label of the old taxonomy. Correct the steps, set `confirmed: true` on each, then run
#   triage taxonomy migrate {name} --annotations OLD.jsonl --out NEW.jsonl
#
# action: keep     the labels stand: the meaning is the same
#         map      the same meaning under the id in `to`; the labels stay those of the people who gave them
#         derive   another meaning, carried over to the id in `to` all the same; the labels become derived ones
#         relabel  the labels are taken out, and the incidents listed to be labelled anew
# several_labels (where a facet takes other numbers of labels now): keep, first, relabel

"""


def write_plan(plan: Plan, path: Path) -> None:
    """Write a new plan file. Raises `Conflict` if the file is there, so that nobody's decisions are lost."""
    content = plan.model_dump(mode="json", exclude_defaults=True)
    for which in ("old", "new"):
        content[which]["taxonomy"] = _from_folder(content[which]["taxonomy"], path.parent)
    body = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_HEADER.format(name=path.name) + body)
    except FileExistsError as error:
        raise Conflict(f"{path} is there already: name another file, or delete it.", path=str(path)) from error
    except OSError as error:
        raise NotFound(f"{path} can't be written: {error.strerror}.", path=str(path)) from error


def read_plan(path: Path) -> tuple[Plan, Taxonomy, Taxonomy]:
    """A plan with its old and new taxonomy, which it fits. Raises `NotFound`, `InvalidPlan` or `OutdatedPlan`."""
    problems, plan, _ = read_yaml(path, Plan, "old, new and facets")
    if plan is None or problems:
        raise InvalidPlan([f"line {problem.line}: {problem.message}" for problem in problems])
    old, new = (_load(planned, path.parent) for planned in (plan.old, plan.new))
    plan.check(old, new)
    return plan, old, new


def _from_folder(taxonomy: str, folder: Path) -> str:
    """A taxonomy's path as seen from the plan's folder, so that the two can be moved together."""
    return Path(os.path.relpath(taxonomy, folder)).as_posix() if taxonomy.endswith(_ENDINGS) else taxonomy


def _load(planned: PlannedTaxonomy, folder: Path) -> Taxonomy:
    is_file = planned.taxonomy.endswith(_ENDINGS)
    return Taxonomy.load(folder / planned.taxonomy if is_file else planned.taxonomy)


class _Dumper(yaml.SafeDumper):
    """Lists of plain values on one line: a step then fits on a few lines."""


def _represent_list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    is_plain = all(isinstance(value, str) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=is_plain)


_Dumper.add_representer(list, _represent_list)
