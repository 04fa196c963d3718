"""What every convention's messages become: `{role, parts}`, in a shape that JSON keeps."""

from typing import Any, Literal

import msgspec

Speaker = Literal["system", "user", "assistant", "tool"]


class Text(msgspec.Struct, tag="text", frozen=True, gc=False):
    """`{"type": "text", "content": "..."}`: what was said, to the letter."""

    content: str


class ToolCall(msgspec.Struct, tag="tool_call", frozen=True, gc=False):
    """`{"type": "tool_call", "id", "name", "arguments"}`: arguments as JSON, or as text where they are none."""

    id: str | None
    name: str
    arguments: Any


class ToolResult(msgspec.Struct, tag="tool_result", frozen=True, gc=False):
    """`{"type": "tool_result", "id", "name", "content"}`: what a tool gave back, as JSON or text."""

    id: str | None
    name: str | None
    content: Any


class Image(msgspec.Struct, tag="image", frozen=True, gc=False):
    """`{"type": "image", "url"}` or `{"type": "image", "media_type", "data"}`, data in base64."""

    url: str | None = None
    media_type: str | None = None
    data: str | None = None


class Reasoning(msgspec.Struct, tag="reasoning", frozen=True, gc=False):
    """`{"type": "reasoning", "content": "..."}`: what the model thought before it answered."""

    content: str


class Other(msgspec.Struct, tag="other", frozen=True, gc=False):
    """`{"type": "other", "content": ...}`: what is none of the others, as it was recorded."""

    content: Any


Part = Text | ToolCall | ToolResult | Image | Reasoning | Other


class Message(msgspec.Struct, frozen=True, gc=False):
    """`{"role": "user", "parts": [...]}`: never without a part."""

    role: Speaker
    parts: list[Part]


class Messages(msgspec.Struct, frozen=True, gc=False):
    """`{"input": [...], "output": [...]}`: what a model, an agent or a tool was given, and what it answered."""

    input: list[Message]
    output: list[Message]
