"""What a formatted prompt is for pydantic-ai."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import Tool
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import UsageLimits

from agentmark_prompts import Telemetry
from agentmark_pydantic_ai_v0.conversation import Conversation


@dataclass(frozen=True, kw_only=True)
class PydanticAIParams:
    """What a run needs: `run_text_prompt` and the others take it, and `pydantic_ai.Agent` its parts."""

    name: str
    model: Model | str
    conversation: Conversation
    model_settings: ModelSettings = field(default_factory=ModelSettings)
    first_tool_choice: str | list[str] | None = None
    """A choice of tools for the first request only: kept up, no answer could come."""
    tools: tuple[Tool[Any], ...] = ()
    usage_limits: UsageLimits | None = None
    retries: int | None = None
    props: Mapping[str, object]
    telemetry: Telemetry | None = None

    @property
    def system_prompt(self) -> str | None:
        """What the prompt's system messages say."""
        return self.conversation.instructions

    @property
    def user_prompt(self) -> str | None:
        """What its last user message says."""
        return self.conversation.user_prompt

    @property
    def message_history(self) -> list[ModelMessage]:
        """The messages between the two."""
        return list(self.conversation.history)


@dataclass(frozen=True, kw_only=True)
class PydanticAITextParams(PydanticAIParams):
    """Of a prompt for text."""


@dataclass(frozen=True, kw_only=True)
class PydanticAIObjectParams(PydanticAIParams):
    """Of a prompt for an object."""

    schema: dict[str, Any]
    output_type: type[dict[str, Any]]
    """A dict with the schema attached, as `pydantic_ai.StructuredDict` makes it."""
