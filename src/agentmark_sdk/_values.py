"""Turns any Python value into one that an attribute can carry, and never raises."""

import dataclasses
import json
from collections.abc import Set as AbstractSet
from typing import TypeAlias

Scalar: TypeAlias = str | bool | int | float
Attribute: TypeAlias = Scalar | list[str] | list[bool] | list[int] | list[float]

_INT64 = range(-(2**63), 2**63)


def text(value: object) -> str:
    """Any value as text that UTF-8 can carry: a lone surrogate, as a cut stream leaves it, becomes `?`."""
    try:
        said = str(value)
    except Exception:  # noqa: BLE001 - somebody else's __str__ may raise anything
        said = f"<{type(value).__name__}>"
    try:
        said.encode()
    except UnicodeEncodeError:
        return said.encode("utf-8", "replace").decode()
    return said


def given(value: object) -> str | None:
    """Give an id or a name as text without white space at its ends; None if nothing is left of it."""
    return None if value is None else text(value).strip() or None


def content(value: object) -> str:
    """Text as it is; anything else as JSON, or as its `repr` where JSON has no words for it."""
    if isinstance(value, str):
        return text(value)
    try:
        return text(json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain))
    except Exception:  # noqa: BLE001 - cycles, depth, keys that are no text, a property that raises
        return _repr(value)


def scalar(value: object) -> Scalar:
    """Give a string, number or boolean as it is; anything else, and an integer over 64 bits, as text."""
    if isinstance(value, bool | float) or (isinstance(value, int) and value in _INT64):
        return value
    return content(value)


def attribute(value: object) -> Attribute:
    """Give a scalar, or a list of scalars of one type, as it is; anything else as text."""
    if isinstance(value, list | tuple) and len({type(item) for item in value}) <= 1:
        return list(value) if all(scalar(item) is item for item in value) else content(value)
    return scalar(value)


def _plain(value: object) -> object:
    """Reduce an object that JSON does not know to one that it does."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, AbstractSet):
        return list(value)
    # pydantic's models, without importing pydantic; asked of the type, for a mock has every attribute
    dump = getattr(type(value), "model_dump", None)
    return dump(value, mode="json") if dump else text(value)


def _repr(value: object) -> str:
    try:
        return text(repr(value))
    except Exception:  # noqa: BLE001 - somebody else's __repr__ may raise anything
        return f"<{type(value).__name__}>"
