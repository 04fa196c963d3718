"""The values that expressions know: JSON's, as JavaScript treats them, and a value that is not there.

Prompt files are shared with TypeScript, so `5 == "5"`, an empty list is true, and 5.0 is shown as 5.
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

from agentmark_prompts.budget import Budget

Value: TypeAlias = object
"""None, bool, int, float, str, a list or a dict of them, `MISSING`, or a component's children."""

_EXACT: Final = 2**53
"""Integers beyond are no longer exact as JavaScript's numbers."""
_MAX_DEPTH: Final = 64


class Missing:
    """What `props.nobody_gave_it` is: false, equal to null, and an error wherever it would be shown."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "missing"


MISSING: Final = Missing()


def plain(value: object, where: str = "props", depth: int = 0) -> Value:
    """Turn props into JSON's values, dataclasses and pydantic's models too.

    Raises `TypeError`, naming the place, for anything else and for what is nested too deeply.
    """
    if depth > _MAX_DEPTH:
        msg = f"{where} is nested more than {_MAX_DEPTH} deep"
        raise TypeError(msg)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, Mapping):
        return {_key(key, where): plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | AbstractSet):
        return [plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    return plain(_dumped(value, where), where, depth + 1)


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        msg = f"{where} has the key {key!r:.50}: keys must be text"
        raise TypeError(msg)
    return key


def _dumped(value: object, where: str) -> object:
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    dump = getattr(type(value), "model_dump", None)  # pydantic's models, without importing pydantic
    if dump is None:
        msg = f"{where} is a {type(value).__name__}: give text, numbers, true and false, lists and dicts of them"
        raise TypeError(msg)
    dumped: object = dump(value, mode="json")
    return dumped


def number(value: float) -> float:
    """A number as JavaScript has it: whole ones are integers as long as they are exact."""
    if isinstance(value, int):
        return value if -_EXACT <= value <= _EXACT else _inexact(value)
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


def _inexact(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def truth(value: Value) -> bool:
    """Whether a condition holds: false are null, false, 0, NaN, "" and what is missing; lists are true."""
    if isinstance(value, float):
        return value != 0 and not math.isnan(value)
    return isinstance(value, (list, dict)) or bool(value)


def text(value: Value, budget: Budget) -> str:
    """A value as a prompt shows it; null as nothing, lists and dicts as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _shown(value)
    return dump(value, budget)


def _shown(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value)


def dump(value: Value, budget: Budget) -> str:
    """A value as JSON in one line; raises `TypeError` for what JSON has no words for."""
    budget.spend(_length(value, {}))
    return _ENCODER.encode(value)


def _length(value: Value, known: dict[int, int]) -> int:
    """About how long a value is as JSON. A list may hold another many times over: it is looked at once."""
    if isinstance(value, str):
        return len(value) + 2
    if not isinstance(value, list | dict):
        return 4
    if id(value) not in known:
        inside = value if isinstance(value, list) else value.values()
        keys = 0 if isinstance(value, list) else sum(map(len, value))
        known[id(value)] = 2 + keys + 4 * len(value) + sum(_length(item, known) for item in inside)
    return known[id(value)]


def _nameless(value: object) -> object:
    msg = "children cannot be part of a value" if value is not MISSING else "a value in it is missing"
    raise TypeError(msg)


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_nameless)


def same(left: Value, right: Value, *, strict: bool) -> bool:
    """`===` if strict, else `==`: there null equals what is missing, and text that reads as a number that number.

    Lists and dicts are the same only if they are one and the same, as in JavaScript.
    """
    if isinstance(left, list | dict) or isinstance(right, list | dict):
        return left is right
    if _kind(left) == _kind(right):
        return left == right
    if strict:
        return False
    nothing = (None, MISSING)
    if left in nothing or right in nothing:
        return left in nothing and right in nothing
    return as_number(left) == as_number(right)


def _kind(value: Value) -> type:
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def as_number(value: Value) -> float:
    """A number of a number, of text that reads as one, or of true and false; else NaN."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        try:
            return number(float(value.strip() or 0))
        except ValueError:
            return math.nan
    return math.nan


def entries(value: Value) -> Iterator[Value]:
    """What `<ForEach>` goes through: a list's items; nothing for null and what is missing."""
    if value is None or value is MISSING:
        return iter(())
    if isinstance(value, list):
        return iter(value)
    msg = f"<ForEach> needs a list: this is {kind_name(value)}"
    raise TypeError(msg)


def kind_name(value: Value) -> str:
    """What to call a value in an error."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), "missing" if value is MISSING else "children")
