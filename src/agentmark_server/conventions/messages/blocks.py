"""One block of a message's content, in the words of any library, to a `Part`.

OpenTelemetry: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/model/gen-ai/gen-ai-input-messages.json
OpenAI: https://platform.openai.com/docs/api-reference/chat, https://platform.openai.com/docs/api-reference/responses
Anthropic: https://docs.anthropic.com/en/api/messages
Gemini: https://ai.google.dev/api/caching#Part
Bedrock (Strands): https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
LangChain: https://docs.langchain.com/oss/python/langchain/messages
Vercel AI SDK: https://ai-sdk.dev/docs/reference/ai-sdk-core/model-message
OpenInference: https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final

from agentmark_server.conventions.messages.json_text import opened
from agentmark_server.conventions.messages.shapes import Image, Other, Part, Reasoning, Text, ToolCall, ToolResult

Block = Mapping[str, Any]

_IDS: Final = ("call_id", "tool_call_id", "toolCallId", "tool_use_id", "toolUseId", "id")
_NAMES: Final = ("name", "toolName", "tool_name")
_CALLS: Final = ("function", "function_call", "functionCall", "toolUse")
_ARGUMENTS: Final = ("arguments", "args", "input", "server_tool_call")
_RESULTS: Final = ("response", "result", "content", "output", "server_tool_call_response")
_THOUGHTS: Final = ("content", "text", "thinking", "reasoning", "summary", "reasoningText", "reasoningContent")
_MEDIA_TYPES: Final = ("media_type", "mime_type", "mimeType", "mediaType")
_MEDIA: Final = (
    *("url", "uri", "file_uri", "fileUri", "image_url", "image", "source", "data", "base64", "bytes", "content"),
    *("inline_data", "inlineData", "file_data", "fileData"),
)
_MEDIA_DEPTH: Final = 5


def parts(content: Any) -> list[Part]:
    """The parts of a message's content: a text, a block, or a list of both; empty texts are none."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    if isinstance(content, dict):
        inner = content.get("parts")
        return parts(inner) if isinstance(inner, list) else [part(content)]
    if isinstance(content, list):
        found = [part(item) for item in content if item is not None]
        return [item for item in found if type(item) is not Text or item.content]
    return [] if content is None else [Other(content)]


def unpacked(content: str) -> Any:
    """The blocks that a program packed into a text, because its attribute could hold nothing else; or the text."""
    shape = opened(content) if content.startswith("[") else None
    if isinstance(shape, list) and all(
        isinstance(item, dict) and (block(item) or "text" in item) for item in shape
    ):
        return shape
    return content


def part(item: Any) -> Part:
    """One item of a content; what is not known comes out as it is."""
    if isinstance(item, str):
        return Text(item)
    if not isinstance(item, dict):
        return Other(item)
    return block(item) or _bare_text(item) or Other(item)


def block(item: Block) -> Part | None:
    """A block that says by its type, or by a field that only one kind has, what it is."""
    kind = item.get("type", item.get("block_type"))
    if isinstance(kind, str):
        read = _BY_TYPE.get(kind.replace("-", "_").lower())
        return read(item) if read else None
    if _FIELDS.isdisjoint(item):
        return None
    for field, read in _BY_FIELD.items():
        if item.get(field) is not None:
            return read(item)
    return None


def tool_call(item: Block) -> ToolCall | None:
    """A call of a tool, whose name and arguments may stand in an object of their own."""
    item = _first_object(item, ("tool_call",))  # OpenInference
    inner = _first_object(item, _CALLS)
    name = _first(inner, _NAMES)
    if not isinstance(name, str):
        return None
    return ToolCall(id=_id(item) or _id(inner), name=name, arguments=opened(_first(inner, _ARGUMENTS)))


def tool_result(item: Block) -> ToolResult:
    """What a tool gave back."""
    inner = _first_object(item, ("functionResponse", "function_response", "toolResult"))
    name = _first(inner, _NAMES)
    return ToolResult(
        id=_id(item) or _id(inner), name=name if isinstance(name, str) else None, content=given(inner)
    )


def given(item: Block) -> Any:
    """The content of a tool's result."""
    return result(_first(item, _RESULTS))


def result(value: Any) -> Any:
    """A tool's result: JSON opened, texts in blocks joined, the Vercel AI SDK's `{type, value}` unwrapped."""
    value = opened(value)
    if isinstance(value, dict) and value.keys() == {"type", "value"}:
        return value["value"]
    if isinstance(value, list) and value:
        texts = [item.get("text") for item in value if isinstance(item, dict)]
        if len(texts) == len(value) and all(isinstance(text, str) for text in texts):
            return "\n".join(str(text) for text in texts)
    return value


def _function(item: Block) -> Part | None:
    """OpenAI's word for a tool's call, and for its definition, which is none."""
    return tool_call(item) if "arguments" in _first_object(item, _CALLS) else None


def _tool_use(item: Block) -> Part | None:
    """The Vercel AI SDK's calls and results without a type."""
    return tool_result(item) if "result" in item or "output" in item else tool_call(item)


def _text(item: Block) -> Part | None:
    said = _first(item, ("text", "content"))
    if isinstance(said, dict):  # https://platform.openai.com/docs/api-reference/messages/object
        said = said.get("value")
    return Text(said) if isinstance(said, str) else None


def _bare_text(item: Block) -> Part | None:
    said = item.get("text")
    if not isinstance(said, str):
        return None
    return Reasoning(said) if item.get("thought") is True else Text(said)


def _refusal(item: Block) -> Part | None:
    said = item.get("refusal")
    return Text(said) if isinstance(said, str) else None


def _reasoning(item: Block) -> Part | None:
    thought = _thought(item, _MEDIA_DEPTH)
    return Reasoning(thought) if thought else None


def _thought(value: Any, depth: int) -> str:
    if isinstance(value, str) or depth == 0:
        return value if isinstance(value, str) else ""
    if isinstance(value, list):
        return "\n".join(filter(None, (_thought(item, depth - 1) for item in value)))
    if not isinstance(value, dict):
        return ""
    return next(filter(None, (_thought(value.get(name), depth - 1) for name in _THOUGHTS)), "")


def _image(item: Block) -> Part | None:
    return _picture(item, None, _MEDIA_DEPTH)


def _media(item: Block) -> Part | None:
    """A medium of any kind: an image where it says so."""
    picture = _picture(item, None, _MEDIA_DEPTH)
    is_image = picture and (item.get("modality") == "image" or (picture.media_type or "").startswith("image/"))
    return picture if is_image else None


def _picture(value: Any, media_type: str | None, depth: int) -> Image | None:
    """An address, a data URL or base64, however deep in objects, with the media type beside it."""
    if isinstance(value, bytes):
        value = base64.b64encode(value).decode()
    if isinstance(value, str):
        return _address(value, media_type)
    if not isinstance(value, dict) or depth == 0:
        return None
    said = _first(value, _MEDIA_TYPES)
    if isinstance(said, str):
        media_type = said
    elif isinstance(value.get("format"), str):  # Bedrock
        media_type = f"image/{value['format']}"
    return _picture(_first(value, _MEDIA), media_type, depth - 1)


def _address(text: str, media_type: str | None) -> Image | None:
    if text.startswith("data:") and "," in text:
        head, data = text.removeprefix("data:").split(",", 1)
        return Image(media_type=head.split(";")[0] or media_type, data=data)
    if "://" in text[:32]:
        return Image(url=text, media_type=media_type)
    return Image(media_type=media_type, data=text) if text else None


def _wrapped(name: str) -> Callable[[Block], Part | None]:
    """Read a block that stands alone in an object, as OpenInference's do."""

    def read(item: Block) -> Part | None:
        inner = item[name]
        return block(inner) or _bare_text(inner) if isinstance(inner, dict) and name not in inner else None

    return read


def _first(item: Block, names: tuple[str, ...]) -> Any:
    for name in names:
        value = item.get(name)
        if value is not None:
            return value
    return None


def _first_object(item: Block, names: tuple[str, ...]) -> Block:
    inner = _first(item, names)
    return inner if isinstance(inner, dict) else item


def _id(item: Block) -> str | None:
    found = _first(item, _IDS)
    return found if isinstance(found, str) else None


_BY_TYPE: Final[Mapping[str, Callable[[Block], Part | None]]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "summary_text"), _text),
    "refusal": _refusal,
    **dict.fromkeys(("reasoning", "thinking"), _reasoning),
    **dict.fromkeys(("function", "function_call"), _function),
    **dict.fromkeys(("tool_call", "tool_use", "toolcall", "server_tool_call", "server_tool_use"), tool_call),
    **dict.fromkeys(("mcp_call", "custom_tool_call", "invalid_tool_call"), tool_call),
    **dict.fromkeys(("tool_call_response", "server_tool_call_response", "tool_result"), tool_result),
    **dict.fromkeys(("function_call_output", "custom_tool_call_output"), tool_result),
    **dict.fromkeys(("image", "image_url", "input_image"), _image),
    **dict.fromkeys(("blob", "uri", "file", "binary", "media"), _media),
}
"""By a block's `type`, dashes as underscores."""

_BY_FIELD: Final[Mapping[str, Callable[[Block], Part | None]]] = {
    "tool_call": tool_call,
    "message_content": _wrapped("message_content"),
    "functionCall": tool_call,
    "function_call": tool_call,
    "functionResponse": tool_result,
    "function_response": tool_result,
    "toolUse": tool_call,
    "toolResult": tool_result,
    "toolName": _tool_use,
    "reasoningContent": _reasoning,
    "inlineData": _media,
    "inline_data": _media,
    "fileData": _media,
    "file_data": _media,
    "image": _image,
    "image_url": _image,
    "refusal": _refusal,
}
"""By a field, for blocks without a type: OpenInference, Gemini, Bedrock, the Vercel AI SDK."""
_FIELDS: Final = frozenset(_BY_FIELD)
MARKS: Final = _FIELDS | {"type", "block_type"}
"""An object with none of these is no block."""
