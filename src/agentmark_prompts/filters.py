"""The functions that expressions can call; there are no others, and none of them reads or runs anything."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Final
from urllib.parse import quote

from agentmark_prompts.budget import Budget
from agentmark_prompts.values import MISSING, Value, dump, kind_name, number, text

_MOST_DECIMALS: Final = 20
_SURELY_EXACT: Final = 1e9
_NEAR: Final = 1e-6
"""How near a number may be to a half, below `_SURELY_EXACT`, before its digits have to be looked at."""
_UNRESERVED: Final = "!~*'()"
"""What JavaScript's encodeURIComponent leaves as it is, beyond letters, digits, `-`, `_` and `.`."""


@dataclass(frozen=True)
class Filter:
    """A function, and how many arguments it takes. It raises `ValueError` or `TypeError` for wrong ones."""

    call: Callable[[Sequence[Value], Budget], Value]
    least: int
    most: int


def _capitalize(arguments: Sequence[Value], budget: Budget) -> str:
    said = _text(arguments[0], budget)
    return said[:1].upper() + said[1:]


def _upper(arguments: Sequence[Value], budget: Budget) -> str:
    return _text(arguments[0], budget).upper()


def _lower(arguments: Sequence[Value], budget: Budget) -> str:
    return _text(arguments[0], budget).lower()


def _truncate(arguments: Sequence[Value], budget: Budget) -> str:
    said, length = _text(arguments[0], budget), _whole(arguments[1])
    return said if len(said) <= length else said[:length] + "..."


def _abs(arguments: Sequence[Value], _budget: Budget) -> float:
    return abs(_number(arguments[0]))


def _join(arguments: Sequence[Value], budget: Budget) -> str:
    items, *rest = arguments
    if not isinstance(items, list):
        msg = f"it needs a list: this is {kind_name(items)}"
        raise TypeError(msg)
    between = _text(rest[0], budget) if rest else ", "
    budget.spend(len(between) * len(items))
    said = [text(item, budget) for item in items]
    budget.spend(sum(map(len, said)))
    return between.join(said)


def _round(arguments: Sequence[Value], _budget: Budget) -> float:
    value, decimals = _number(arguments[0]), _whole(arguments[1]) if len(arguments) > 1 else 0
    if isinstance(value, int) or not math.isfinite(value):
        return value
    if decimals > _MOST_DECIMALS:
        msg = f"it rounds to {_MOST_DECIMALS} decimals at most"
        raise ValueError(msg)
    scale = 10.0**decimals
    shifted = value * scale + 0.5
    if abs(shifted) < _SURELY_EXACT and _NEAR < shifted % 1 < 1 - _NEAR:
        return number(math.floor(shifted) / scale)
    return _rounded_by_digits(value, decimals)


def _rounded_by_digits(value: float, decimals: int) -> float:
    """Halves upwards, by decimal digits: 1.005 to two decimals is 1.01, though as binary it is below."""
    shifted = Decimal(repr(value)).scaleb(decimals) + Decimal("0.5")
    return number(float(shifted.to_integral_value(ROUND_FLOOR).scaleb(-decimals)))


def _replace(arguments: Sequence[Value], budget: Budget) -> str:
    said, old, new = (_text(argument, budget) for argument in arguments)
    if not old:
        return said
    budget.spend(len(said) + said.count(old) * len(new))
    return said.replace(old, new)


def _urlencode(arguments: Sequence[Value], budget: Budget) -> str:
    said = _text(arguments[0], budget)
    budget.spend(len(said) * 2)
    return quote(said, safe=_UNRESERVED)


def _dump(arguments: Sequence[Value], budget: Budget) -> str:
    return dump(arguments[0], budget)


def _text(value: Value, budget: Budget) -> str:
    if isinstance(value, str):
        budget.spend(len(value))
        return value
    if value is None or value is MISSING or isinstance(value, list | dict):
        msg = f"it needs text: this is {kind_name(value)}"
        raise TypeError(msg)
    said = text(value, budget)
    budget.spend(len(said))
    return said


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        msg = f"it needs a number: this is {kind_name(value)}"
        raise TypeError(msg)
    return value


def _whole(value: Value) -> int:
    count = _number(value)
    if not isinstance(count, int) or count < 0:
        msg = f"it needs a whole number, 0 or more: this is {count}"
        raise ValueError(msg)
    return count


FILTERS: Final = {
    "capitalize": Filter(_capitalize, 1, 1),
    "upper": Filter(_upper, 1, 1),
    "lower": Filter(_lower, 1, 1),
    "truncate": Filter(_truncate, 2, 2),
    "abs": Filter(_abs, 1, 1),
    "join": Filter(_join, 1, 2),
    "round": Filter(_round, 1, 2),
    "replace": Filter(_replace, 3, 3),
    "urlencode": Filter(_urlencode, 1, 1),
    "dump": Filter(_dump, 1, 1),
}
