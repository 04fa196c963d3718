"""Messages of which each has attributes of its own, with a number in their names, put together again.

OpenInference: https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
Traceloop: https://github.com/traceloop/openllmetry/tree/main/packages/opentelemetry-semantic-conventions-ai
"""

from collections.abc import Mapping
from typing import Any, Final

from agentmark_server.conventions.messages.blocks import unpacked
from agentmark_server.conventions.messages.json_text import opened
from agentmark_server.model import Value

PREFIXES: Final = ("llm.input_messages.", "llm.output_messages.", "gen_ai.prompt.", "gen_ai.completion.")
_NESTED: Final = 12
"""How many names a key has at most, with room to spare; the rest of a longer one stays one name."""
_DIGITS: Final = 9


def indexed(attributes: Mapping[str, Value]) -> dict[str, list[dict[str, Any]]]:
    """For each prefix with messages, those messages as objects: `a.0.b.c` is `c` in `b` of the first."""
    found: dict[str, dict[str, Any]] = {}
    for key in sorted(key for key in attributes if key.startswith(PREFIXES)):
        prefix = next(prefix for prefix in PREFIXES if key.startswith(prefix))
        path = key.removeprefix(prefix).split(".", _NESTED)
        if _is_number(path[0]) and len(path) > 1:
            _put(found.setdefault(prefix, {}), path, attributes[key])
    return {prefix: [_listed(tree[number]) for number in _numbers(tree)] for prefix, tree in found.items()}


def _put(tree: dict[str, Any], path: list[str], value: Value) -> None:
    for place, name in enumerate(path[:-1]):
        inner = tree.setdefault(name, {})
        if not isinstance(inner, dict):  # `a` and `a.b` are both there: the latter stays one name
            tree[".".join(path[place:])] = value
            return
        tree = inner
    tree[path[-1]] = unpacked(value) if isinstance(value, str) else opened(value)


def _listed(tree: Any) -> Any:
    """Objects whose names are all numbers, as the lists that they were."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(map(_is_number, tree)):
        return [_listed(tree[number]) for number in _numbers(tree)]
    return {name: _listed(value) for name, value in tree.items()}


def _numbers(tree: Mapping[str, Any]) -> list[str]:
    return sorted(tree, key=int)


def _is_number(name: str) -> bool:
    return name.isdecimal() and len(name) <= _DIGITS
