"""The filter language: the text of a filter to a small tree. docs/filters.md is its page for users.

    total_cost > 0.01 and (model = "gpt-4o" or tag = "beta") and any(span.status = error)

`parse` knows neither SQL nor HTTP: a store compiles the tree. What the tree means, which every store keeps:

- **Two-valued.** Every node holds or does not hold; `Not` turns that round. `Exists` holds where a field has a
  value. A `Comparison` with a field that has none does not hold, whatever its operator: `name != "x"` is false for
  a session without a name, `not name = "x"` is true.
- **Text.** `=` and `!=` are exact. What looks for a part (`contains`, `not contains`, `starts with`, `ends with`)
  ignores case, in the sense of `str.casefold`.
- **Sets** of text (`models`, `tags`, ...) have a value when they are not empty. `=`, `contains`, `starts with` and
  `ends with` hold when they hold for any element, `!=` and `not contains` when they hold for every one.
- **Values** are in the model's units: times in ns since 1970, durations in ns, money in 1e-12 US dollars. A number
  is an `int` where it is whole and fits in 64 bits, else the nearest `float`, so that any SQL can bind it.
- **Dates** are gone from the tree: `end = "2026-11-23"` is `end` between two times, `end > "2026-11-23"` is after
  the last nanosecond of that day.
- **`AnySpan`** holds when its condition holds for at least one span of the session, all of it for the same one.
"""

from agentmark_server.filters.errors import FilterError
from agentmark_server.filters.fields import METADATA, SESSION, SPAN, Field, Subject, Type
from agentmark_server.filters.operators import Operator
from agentmark_server.filters.parsing import MAX_COMPARISONS, MAX_DEPTH, parse
from agentmark_server.filters.tokens import MAX_LENGTH
from agentmark_server.filters.tree import And, AnySpan, Comparison, Exists, Filter, Not, Or, Value

__all__ = [
    "MAX_COMPARISONS",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "METADATA",
    "SESSION",
    "SPAN",
    "And",
    "AnySpan",
    "Comparison",
    "Exists",
    "Field",
    "Filter",
    "FilterError",
    "Not",
    "Operator",
    "Or",
    "Subject",
    "Type",
    "Value",
    "parse",
]
