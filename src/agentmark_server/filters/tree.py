"""What a filter says, as a tree. The package's docstring says what it means."""

import msgspec

from agentmark_server.filters.fields import Field
from agentmark_server.filters.operators import Operator

Value = str | int | float


class Comparison(msgspec.Struct, frozen=True):
    """A field that has a value, and it compares so with this one."""

    field: Field
    operator: Operator
    value: Value


class Exists(msgspec.Struct, frozen=True):
    """A field that has a value."""

    field: Field


class Not(msgspec.Struct, frozen=True):
    """What does not hold."""

    operand: "Filter"


class And(msgspec.Struct, frozen=True):
    """Two or more that all hold."""

    operands: tuple["Filter", ...]


class Or(msgspec.Struct, frozen=True):
    """Two or more of which any holds."""

    operands: tuple["Filter", ...]


class AnySpan(msgspec.Struct, frozen=True):
    """A session with a span for which the condition holds; the fields in it are those of spans."""

    condition: "Filter"


Filter = Comparison | Exists | Not | And | Or | AnySpan
