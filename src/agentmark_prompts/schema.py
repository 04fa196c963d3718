"""JSON schemas: what breaks one, and where. A `$ref` to elsewhere opens no file and no connection."""

from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from agentmark_prompts.values import Value


@dataclass(frozen=True)
class Fault:
    """What is wrong: where in the value (`path`), and what of the schema it breaks."""

    message: str
    path: tuple[str | int, ...]
    broken: tuple[str | int, ...] = ()


class Checker:
    """Checks values by one schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        # An empty registry: the default one opens what a $ref names, files too.
        self._validator = Draft202012Validator(schema, registry=Registry())

    def fault(self, value: Value, name: str) -> Fault | None:
        """The most telling fault of `value`, which the message calls `name`; None if there is none."""
        try:
            error = best_match(self._validator.iter_errors(value))
        except Unresolvable as unresolvable:
            return Fault(f"{name}: the schema has a $ref that leads nowhere: {unresolvable.ref}", ())
        except RecursionError:
            return Fault(f"{name}: the schema refers to itself without end", ())
        return _fault(error, name) if error else None


def fault_of_schema(schema: dict[str, Any]) -> Fault | None:
    """What keeps `schema` from being a JSON schema; None if it is one."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return Fault(f"this is not a JSON schema: {error.message:.200}", tuple(error.path))
    return None


def _fault(error: ValidationError, name: str) -> Fault:
    path = tuple(error.absolute_path)
    place = name + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return Fault(f"{place}: {error.message:.200}", path, tuple(error.absolute_schema_path))
