"""A field, an operator and a written value to a comparison in the model's units."""

import re
from decimal import Decimal
from typing import Final

from agentmark_server.filters.errors import FilterError
from agentmark_server.filters.fields import Field, Type
from agentmark_server.filters.operators import Operator
from agentmark_server.filters.tokens import Token, unquoted
from agentmark_server.filters.tree import And, Comparison, Filter, Or, Value
from agentmark_server.model import PICO
from agentmark_server.times import parse_time

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_UNITS: Final = {Type.NUMBER: 1, Type.MONEY: PICO, Type.MILLISECONDS: 10**6}
"""What one of the language is in the model."""
_INT64: Final = 2**63


def comparison(field: Field, operator: Operator, token: Token) -> Filter:
    """Compare a field with the value that `token` is. Raises FilterError where it is none of the field's type."""
    if field.type is Type.TIME:
        return _compared_with_time(field, operator, token)
    return Comparison(field, operator, _value(field, token))


def _value(field: Field, token: Token) -> Value:
    if field.type in _UNITS:
        return _number(token, _UNITS[field.type])
    return _word(token, field.words) if field.type is Type.WORD else _text(token)


def _text(token: Token) -> str:
    if not token.is_string:
        msg = f'expected text in quotes, like "gpt-4o", not {token}'
        raise FilterError(msg, token.column)
    return unquoted(token)


def _word(token: Token, words: tuple[str, ...]) -> str:
    word = (unquoted(token) if token.is_string else token.text).lower()
    if word not in words:
        msg = f"expected one of {', '.join(words)}, not {token}"
        raise FilterError(msg, token.column)
    return word


def _number(token: Token, unit: int) -> int | float:
    if not _NUMBER.fullmatch(token.text):
        msg = f"expected a number without quotes, like 0.5 or 1e-3, not {token}"
        raise FilterError(msg, token.column)
    return _bindable(Decimal(token.text) * unit)


def _bindable(number: Decimal) -> int | float:
    """As an `int` where it is whole and fits in 64 bits: then it is compared exactly."""
    fits = -_INT64 <= number < _INT64 and number == int(number)
    return int(number) if fits else float(number)


def _compared_with_time(field: Field, operator: Operator, token: Token) -> Filter:
    """A date is all of its day: to be after it is to be after its end."""
    first, last = (_bindable(Decimal(end)) for end in _stretch(token))
    if first != last and operator is Operator.EQUAL:
        return And((Comparison(field, Operator.AT_LEAST, first), Comparison(field, Operator.AT_MOST, last)))
    if first != last and operator is Operator.NOT_EQUAL:
        return Or((Comparison(field, Operator.BELOW, first), Comparison(field, Operator.ABOVE, last)))
    return Comparison(field, operator, last if operator in {Operator.ABOVE, Operator.AT_MOST} else first)


def _stretch(token: Token) -> tuple[int, int]:
    text = unquoted(token) if token.is_string else ""
    try:
        return parse_time(text)
    except ValueError as error:
        msg = f"expected {error}, in quotes, not {token}"
        raise FilterError(msg, token.column) from error
