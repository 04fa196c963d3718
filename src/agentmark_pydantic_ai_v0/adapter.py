"""Formatted prompts to what pydantic-ai runs."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from pydantic_ai import StructuredDict, Tool
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import UsageLimits

from agentmark_prompts import (
    AgentMark,
    Formatted,
    Loader,
    ModelConfig,
    ObjectConfig,
    TextConfig,
    ToolUse,
    create_agentmark,
)
from agentmark_pydantic_ai_v0.conversation import Conversation
from agentmark_pydantic_ai_v0.models import PydanticAIModelRegistry, create_default_model_registry
from agentmark_pydantic_ai_v0.params import PydanticAIObjectParams, PydanticAITextParams

AnyTool: TypeAlias = Tool[Any] | Callable[..., Any]

_SETTINGS = (
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
    "seed",
)


class ToolNotRegisteredError(LookupError):
    """A prompt uses a tool that the client was not given."""


class PydanticAIAdapter:
    """Finds the models and tools that prompts name, and turns settings into pydantic-ai's."""

    def __init__(self, models: PydanticAIModelRegistry, tools: Sequence[AnyTool] = ()) -> None:
        self._models = models
        self._tools = {tool.name if isinstance(tool, Tool) else tool.__name__: tool for tool in tools}

    def adapt_text(self, prompt: Formatted[TextConfig]) -> PydanticAITextParams:
        """Raises `ModelNotRegisteredError`, `ToolNotRegisteredError`, `ValueError` if the prompt says nothing."""
        return PydanticAITextParams(**self._common(prompt, prompt.config))

    def adapt_object(self, prompt: Formatted[ObjectConfig]) -> PydanticAIObjectParams:
        """Raises as `adapt_text`, and `pydantic_ai.UserError` for a schema that pydantic-ai cannot take."""
        config = prompt.config
        output = StructuredDict(dict(config.schema), config.schema_name, config.schema_description)
        common = self._common(prompt, config)
        return PydanticAIObjectParams(**common, schema=config.schema, output_type=output)

    def _common(self, prompt: Formatted[Any], config: ModelConfig) -> dict[str, Any]:
        if not prompt.messages:
            msg = f"the prompt {prompt.name!r} has no messages with these props"
            raise ValueError(msg)
        forced = [config.tool_choice] if config.forced_tool else config.tool_choice
        at_once = config.forced_tool or forced == "required"
        return {
            "name": prompt.name,
            "model": self._models.model(config.model_name),
            "conversation": Conversation.of(prompt.messages),
            "model_settings": _settings(config, None if at_once else config.tool_choice),
            "first_tool_choice": forced if at_once else None,
            "tools": tuple(self._tool(use, prompt.name) for use in config.tools),
            "usage_limits": UsageLimits(request_limit=config.max_calls) if config.max_calls else None,
            "retries": config.max_retries,
            "props": prompt.props,
            "telemetry": prompt.telemetry,
        }

    def _tool(self, use: ToolUse, prompt: str) -> Tool[Any]:
        tool = self._tools.get(use.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            msg = f"the prompt {prompt!r} uses the tool {use.name!r}; the client was given {known}: tools=[...]"
            raise ToolNotRegisteredError(msg)
        if isinstance(tool, Tool):
            return tool  # it describes itself
        plain: Tool[Any] = Tool(tool, name=use.name, description=use.description)
        if use.parameters is None:
            return plain
        return Tool.from_schema(
            tool, use.name, use.description or plain.description, use.parameters, takes_ctx=plain.takes_ctx
        )


def _settings(config: ModelConfig, tool_choice: str | None) -> ModelSettings:
    said = {name: getattr(config, name) for name in _SETTINGS}
    said |= {"tool_choice": tool_choice}
    if config.stop_sequences is not None:
        said["stop_sequences"] = list(config.stop_sequences)
    settings = ModelSettings()
    settings.update({name: value for name, value in said.items() if value is not None})  # type: ignore[typeddict-item]
    return settings


def create_pydantic_ai_client(
    *,
    model_registry: PydanticAIModelRegistry | None = None,
    tools: Sequence[AnyTool] | None = None,
    loader: Loader | None = None,
) -> AgentMark[PydanticAITextParams, PydanticAIObjectParams]:
    """Make a client whose prompts are formatted for pydantic-ai.

    Without a registry a prompt's `model_name` is pydantic-ai's own name of the model; without a loader prompts are
    read from the folder in which the program runs. `tools` are functions, or `pydantic_ai.Tool`s; a prompt names
    those that it uses.
    """
    adapter = PydanticAIAdapter(model_registry or create_default_model_registry(), tools or ())
    return create_agentmark(loader=loader, adapter=adapter)
