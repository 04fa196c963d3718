"""The API's description, where FastAPI's differs from what the server does."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def corrected(document: Json) -> Json:
    """The OpenAPI document, with what is wrong in it put right in place."""
    for operation in _operations(document):
        operation["responses"].pop("422", None)  # wrong parameters and bodies are answered with 400
        for parameter in operation.get("parameters", []):
            parameter["schema"] = _never_null(parameter["schema"])
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
    return document


def _operations(document: Json) -> Iterator[Json]:
    for path in document["paths"].values():
        yield from path.values()


def _never_null(schema: Json) -> Json:
    """A parameter is left out or it has a value: a URL has no null."""
    kinds: list[Json] = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    match kinds:
        case []:
            return schema
        case [kind]:
            return kind | rest
        case _:
            return rest | {"anyOf": kinds}
