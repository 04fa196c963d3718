"""The head of a prompt file: what it is called, which model it is for, what it may be given."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from agentmark_prompts import schema, yaml_text
from agentmark_prompts.errors import PropsError, TemplateError
from agentmark_prompts.expressions import unknown
from agentmark_prompts.source import Place, Source
from agentmark_prompts.values import Value

Schema: TypeAlias = dict[str, Any]
Kind = Literal["text", "object"]

_FENCED: Final = re.compile(r"(?:\{/\*.*?\*/\}\s*)?---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
"""A comment may stand before it."""

_NUMBER: Final[Schema] = {"type": "number"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 1}
_NAME: Final[Schema] = {"type": "string", "minLength": 1}
_TOOL: Final[Schema] = {
    "type": "object",
    "properties": {"description": {"type": "string"}, "parameters": {"type": "object"}},
    "additionalProperties": False,
}
_MODEL: Final[Schema] = {
    "model_name": _NAME,
    "max_tokens": _COUNT,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "top_k": _COUNT,
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
    "stop_sequences": {"type": "array", "items": _NAME},
    "seed": {"type": "integer"},
    "max_calls": _COUNT,
    "max_retries": {"type": "integer", "minimum": 0},
    "tools": {"type": ["array", "object"], "items": _NAME, "additionalProperties": _TOOL},
    "tool_choice": {
        "type": ["string", "object"],
        "if": {"type": "string"},
        "then": {"enum": ["auto", "none", "required"]},
        "else": {
            "properties": {"type": {"const": "tool"}, "tool_name": _NAME},
            "required": ["tool_name"],
            "additionalProperties": False,
        },
    },
}
_OBJECT: Final[Schema] = {
    **_MODEL,
    "schema": {"type": "object", "required": ["type"], "properties": {"type": {"const": "object"}}},
    "schema_name": _NAME,
    "schema_description": {"type": "string"},
}
_CONFIGS: Final[Mapping[str, tuple[Kind, Schema]]] = {
    "text_config": ("text", {"type": "object", "properties": _MODEL, "required": ["model_name"]}),
    "object_config": ("object", {"type": "object", "properties": _OBJECT, "required": ["model_name", "schema"]}),
}
_HEAD: Final[Schema] = {
    "type": "object",
    "properties": {
        "name": _NAME,
        "description": {"type": "string"},
        "metadata": {"type": "object"},
        "input_schema": {"type": "object"},
        "test_settings": {"type": "object", "properties": {"props": {"type": "object"}}},
        **{key: config for key, (_, config) in _CONFIGS.items()},
    },
    "required": ["name"],
}


@dataclass(frozen=True)
class ToolUse:
    """A tool that a prompt may call: its name, and what the prompt says of it."""

    name: str
    description: str | None = None
    parameters: Schema | None = None
    """A JSON schema."""


@dataclass(frozen=True)
class ModelConfig:
    """Which model a prompt is for, and its settings; None leaves one to the model."""

    model_name: str
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop_sequences: tuple[str, ...] | None = None
    seed: int | None = None
    max_calls: int | None = None
    """Requests to the model for one answer, with tools between them."""
    max_retries: int | None = None
    tools: tuple[ToolUse, ...] = ()
    tool_choice: str | None = None
    """`auto`, `none`, `required`, or the name of the tool that must be called."""
    forced_tool: bool = False
    """Whether `tool_choice` is a tool's name."""


@dataclass(frozen=True, kw_only=True)
class TextConfig(ModelConfig):
    """Of a prompt that is answered with text."""


@dataclass(frozen=True, kw_only=True)
class ObjectConfig(ModelConfig):
    """Of a prompt that is answered with an object: `schema` is its JSON schema."""

    schema: Schema
    schema_name: str | None = None
    schema_description: str | None = None


class FrontMatter:
    """What the head of a file says, checked."""

    def __init__(self, document: yaml_text.Document) -> None:
        self._document = document
        head = self._checked(document.value)
        [(key, (self.kind, _))] = [(key, config) for key, config in _CONFIGS.items() if key in head]
        self.name: str = head["name"]
        self.config = _config(self.kind, head[key])
        self.test_props: dict[str, Value] | None = head.get("test_settings", {}).get("props")
        self._input = schema.Checker(head["input_schema"]) if "input_schema" in head else None

    @property
    def start(self) -> Place:
        """Where it begins."""
        return self._document.place(())

    def check_props(self, props: Value) -> None:
        """Raise `PropsError` if `input_schema` does not allow the props."""
        fault = self._input.fault(props, "props") if self._input else None
        if fault:
            raise PropsError(fault.message, self._document.place(("input_schema", *fault.broken)))

    def _checked(self, head: Any) -> dict[str, Any]:
        """The head as the format has it; raises `TemplateError` at what is wrong."""
        fault = schema.Checker(_HEAD).fault(head, "front matter")
        if fault:
            raise TemplateError(fault.message, self._document.place(fault.path))
        configs = [key for key in _CONFIGS if key in head]
        if len(configs) != 1:
            self._fail(f"front matter has one of {' and '.join(_CONFIGS)}", configs[-1:])
        self._known(head, _HEAD, ())
        self._known(head[configs[0]], _CONFIGS[configs[0]][1], (configs[0],))
        for path in (("input_schema",), (configs[0], "schema")):
            self._check_schema(head, path)
        return dict(head)

    def _known(self, value: dict[str, Any], of: Schema, path: yaml_text.Path) -> None:
        for key in value:
            if key not in of["properties"]:
                self._fail(unknown("setting", key, of["properties"]), [*path, key])

    def _check_schema(self, head: dict[str, Any], path: tuple[str, ...]) -> None:
        value: Any = head
        for key in path:
            value = value.get(key, {})
        fault = schema.fault_of_schema(value)
        if fault:
            raise TemplateError(fault.message, self._document.place((*path, *fault.path)))

    def _fail(self, message: str, path: Sequence[str | int]) -> None:
        raise TemplateError(message, self._document.place(tuple(path)))


def split(source: Source) -> tuple[tuple[int, int] | None, int]:
    """Where the YAML of a file's front matter stands (None: it has none), and where its body begins."""
    found = _FENCED.match(source.text)
    return ((found.start(1), found.end(1)), found.end()) if found else (None, 0)


def read(source: Source) -> FrontMatter:
    """Read the front matter of a prompt; raises `TemplateError`."""
    where, _ = split(source)
    if where is None:
        msg = "a prompt begins with front matter: a line ---, settings in YAML, and another line ---"
        raise TemplateError(msg, source.at(0))
    return FrontMatter(yaml_text.read(source, *where))


def _config(kind: Kind, given: dict[str, Any]) -> TextConfig | ObjectConfig:
    fields = dict(given)
    if "stop_sequences" in fields:
        fields["stop_sequences"] = tuple(fields["stop_sequences"])
    fields["tools"] = _tools(fields.get("tools", []))
    choice = fields.get("tool_choice")
    if isinstance(choice, dict):
        fields |= {"tool_choice": choice["tool_name"], "forced_tool": True}
    return TextConfig(**fields) if kind == "text" else ObjectConfig(**fields)


def _tools(given: list[str] | dict[str, dict[str, Any]]) -> tuple[ToolUse, ...]:
    if isinstance(given, list):
        return tuple(ToolUse(name) for name in given)
    return tuple(ToolUse(name, **said) for name, said in given.items())
