"""JSON that programs put into texts, opened where it is safe to."""

from typing import Any, Final

from agentmark_server.conventions.rules import parsed

DEPTH: Final = 100
"""Deeper JSON is kept as the text that it came in: no reader, encoder or page needs to recurse into it."""
NESTED: Final = (dict, list)
"""The types of JSON values that hold others."""
_TOO_DEEP: Final = f"(nested deeper than {DEPTH})"


def opened(value: Any) -> Any:
    """What the JSON in a text says (an object, an array or a quoted text); any other value as it is."""
    if not isinstance(value, str):
        return value if shallow(value) else _TOO_DEEP
    if value.lstrip()[:1] not in {"{", "[", '"'}:
        return value
    shape = parsed(value)
    return value if shape is None or not shallow(shape) else shape


def shallow(shape: Any) -> bool:
    """Whether a JSON value is no deeper than `DEPTH`, found level by level."""
    level = [shape] if isinstance(shape, NESTED) else []
    for _ in range(DEPTH):
        if not level:
            return True
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, NESTED)
        ]
    return False
