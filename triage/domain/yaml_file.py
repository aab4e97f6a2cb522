"""Read YAML files into models and report every mistake with its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from triage.domain.errors import NotFound

Model = TypeVar("Model", bound=BaseModel)

# libyaml, if PyYAML was built with it as its wheels are: eight times as fast, which every command's start feels.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Problem(NamedTuple):
    """One mistake in a file."""

    line: int
    message: str


class YamlFile(NamedTuple, Generic[Model]):
    """The problems in a file and, if it is valid, the model. `root` maps positions to lines."""

    problems: list[Problem]
    model: Model | None
    root: yaml.Node | None

    def line(self, location: Sequence[str | int]) -> int:
        """The line of `location` (keys and positions from the top), or of its deepest part that exists."""
        return _line(self.root, location) if self.root is not None else 1


def read_yaml(path: Path, model: type[Model], keys: str) -> YamlFile[Model]:
    """Read a file as `model`. `keys` names the required keys, for files that are no mapping. Raises `NotFound`."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=_LOADER)
        # Parsed again, since constructing from `root` would add merged keys (`<<`) to its mappings.
        content = _LOADER(text).get_single_data()
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", path=str(path)) from error
    except IsADirectoryError as error:
        raise NotFound(f"{path} is a folder: name one .yaml file.", path=str(path)) from error
    except UnicodeDecodeError as error:
        return YamlFile([Problem(1, f"is not UTF-8 text (byte {error.start})")], None, None)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = f"is not YAML: {getattr(error, 'problem', None) or error}"
        return YamlFile([Problem(mark.line + 1 if mark else 1, message)], None, None)
    if not isinstance(content, dict) or root is None:
        return YamlFile([Problem(1, f"must be a mapping with {keys}")], None, None)
    problems = list(_repeated_keys(root))
    try:
        return YamlFile(problems, model.model_validate(content), root)
    except ValidationError as error:
        errors = error.errors()
        known = _known_keys(model)
        problems += [Problem(_line(root, e["loc"]), _explain(e, known)) for e in errors if not _follows(e, errors)]
        return YamlFile(sorted(problems), None, root)


def _follows(error: Any, errors: Sequence[Any]) -> bool:
    """True for an error that only follows from others: an invalid item or a wrong branch of a union."""
    at = error["loc"]
    if error["type"] == "literal_error" and isinstance(error["input"], dict) and len(errors) > 1:
        return True
    return error["type"] == "too_short" and any(len(e["loc"]) > len(at) and e["loc"][: len(at)] == at for e in errors)


def _explain(error: Any, known: Sequence[str]) -> str:
    # pydantic adds the branches of a union to the location; they are no keys of the file.
    place = ".".join(str(part) for part in error["loc"] if not re.match(r"[A-Z]|literal\[", str(part)))
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "correct its spelling or remove it"
        return f"{place}: unknown key; {hint}"
    if error["type"] == "missing":
        return f"{place}: is missing; add it"
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message[0].lower()}{message[1:]}"


def _known_keys(model: type[BaseModel]) -> list[str]:
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return sorted({name for part in parts for name in part.get("properties", {})})


def _repeated_keys(node: yaml.Node) -> Iterator[Problem]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield Problem(key.start_mark.line + 1, f"key {key.value!r} appears twice; the first would be lost")
            seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item)


def _line(node: yaml.Node, location: Sequence[str | int]) -> int:
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
