"""What a filter finds, decided in the plainest way: the tree against the API's own fields as plain Python.

Written from docs/filters.md. Sessions and spans are dicts with the API's names and types: costs are dollars (float
or Decimal), durations milliseconds, sets lists, absent values None. Times alone are ints of ns.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, assert_never

from agentmark_server.filters import (
    And,
    AnySpan,
    Comparison,
    Exists,
    Field,
    Filter,
    Not,
    Operator,
    Or,
    Type,
    Value,
)

Fields = Mapping[str, Any]

_UNITS: Final = {Type.MONEY: 10**12, Type.MILLISECONDS: 10**6}

_COMPARED: Final[Mapping[Operator, Callable[[Any, Any], bool]]] = {
    Operator.EQUAL: lambda have, value: have == value,
    Operator.NOT_EQUAL: lambda have, value: have != value,
    Operator.ABOVE: lambda have, value: have > value,
    Operator.AT_LEAST: lambda have, value: have >= value,
    Operator.BELOW: lambda have, value: have < value,
    Operator.AT_MOST: lambda have, value: have <= value,
    Operator.CONTAINS: lambda have, value: value.casefold() in have.casefold(),
    Operator.NOT_CONTAINS: lambda have, value: value.casefold() not in have.casefold(),
    Operator.STARTS_WITH: lambda have, value: have.casefold().startswith(value.casefold()),
    Operator.ENDS_WITH: lambda have, value: have.casefold().endswith(value.casefold()),
}


def holds(tree: Filter, thing: Fields, spans: Sequence[Fields] = ()) -> bool:
    """Whether a session (or, inside `any`, a span) fits the filter."""
    match tree:
        case Comparison(field, operator, value):
            return _compares(values_of(field, thing), operator, value)
        case Exists(field):
            return bool(values_of(field, thing))
        case Not(operand):
            return not holds(operand, thing, spans)
        case And(operands):
            return all(holds(operand, thing, spans) for operand in operands)
        case Or(operands):
            return any(holds(operand, thing, spans) for operand in operands)
        case AnySpan(condition):
            return any(holds(condition, span) for span in spans)
    assert_never(tree)


def _compares(have: list[Any], operator: Operator, value: Value) -> bool:
    results = [_COMPARED[operator](one, value) for one in have]
    if operator in {Operator.NOT_EQUAL, Operator.NOT_CONTAINS}:
        return bool(results) and all(results)
    return any(results)


def values_of(field: Field, thing: Fields) -> list[Any]:
    """What the field holds, in the tree's units: nothing, one value, or the elements of a set."""
    found = thing[field.name] if field.key is None else thing[field.name].get(field.key)
    if found is None:
        return []
    if field.type in _UNITS:
        return [Decimal(str(found)) * _UNITS[field.type]]
    return list(found) if field.type is Type.TEXTS else [found]
