"""YAML to JSON's values, with the place of each: what front matter may hold."""

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

import yaml

from agentmark_prompts.errors import TemplateError
from agentmark_prompts.source import Place, Source
from agentmark_prompts.values import Value

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes, from the outside in."""

_TAG: Final = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """The core schema of YAML 1.2, as editors and other languages read it: `no` is text, and so is a date."""

    yaml_implicit_resolvers: Final = {}  # type: ignore[misc] # filled below, in place of YAML 1.1's


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?[0-9]{1,300}$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(_TAG + _tag, re.compile(_pattern), list(_first))


class Document:
    """A YAML document: its `value`, and where in the file each part of it stands."""

    def __init__(self, value: Value, places: dict[Path, Place]) -> None:
        self.value = value
        self._places = places

    def place(self, path: Path) -> Place:
        """The place of the value at `path`, or of the nearest one around it that exists."""
        while path not in self._places:
            path = path[:-1]
        return self._places[path]


def read(source: Source, start: int, end: int) -> Document:
    """Read the YAML between two offsets of `source`; raises `TemplateError`."""
    places: dict[Path, Place] = {(): source.at(start)}
    loader = None
    try:
        loader = _Loader(source.text[start:end])
        node = loader.get_single_node()
        return Document(_Reader(source, start, places).value(node, ()) if node else None, places)
    except yaml.YAMLError as error:
        raise TemplateError(_said(error), source.at(start + _offset(error, end - start))) from error
    except RecursionError as error:
        msg = "this is nested too deeply"
        raise TemplateError(msg, source.at(start)) from error
    finally:
        if loader:
            loader.dispose()


class _Reader:
    def __init__(self, source: Source, start: int, places: dict[Path, Place]) -> None:
        self._source, self._start, self._places = source, start, places
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, path: Path) -> Value:
        place = self._places[path] = self._source.at(self._start + node.start_mark.index)
        if id(node) in self._seen:
            msg = "what an alias stands for has to be written out here"  # few bytes could hold gigabytes
            raise TemplateError(msg, place)
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, place)

    def _items(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Value]]:
        known: set[str] = set()
        for key, item in node.value:
            place = self._source.at(self._start + key.start_mark.index)
            if not isinstance(key, yaml.ScalarNode) or key.value in known:
                msg = "this key is there twice" if isinstance(key, yaml.ScalarNode) else "a key must be text"
                raise TemplateError(msg, place)
            known.add(key.value)
            value = self.value(item, (*path, key.value))
            self._places[(*path, key.value)] = place  # a key is where one looks for what is wrong with its value
            yield key.value, value

    def _scalar(self, node: yaml.Node, place: Place) -> Value:
        match node.tag.removeprefix(_TAG):
            case "str":
                return str(node.value)
            case "null":
                return None
            case "bool":
                return str(node.value).lower() == "true"
            case "int":
                return int(node.value)
            case "float":
                return float(node.value)
            case _:
                msg = f"{node.tag:.60} is a tag that front matter does not have"
                raise TemplateError(msg, place)


def _said(error: yaml.YAMLError) -> str:
    """What is wrong, of PyYAML's several lines."""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return f"this is not YAML: {problem}"


def _offset(error: yaml.YAMLError, length: int) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    offset = mark.index if mark else getattr(error, "position", 0)
    return min(offset if isinstance(offset, int) else 0, length)
