"""Runs prompts of `agentmark_prompts` with pydantic-ai, and records them as their telemetry says.

`create_pydantic_ai_client()` makes the client of a program's `agentmark_client.py`; `run_text_prompt()` and the
others run what its prompts format. It works with pydantic-ai 1.107 and later, and with 2.
"""

from agentmark_pydantic_ai_v0.adapter import (
    PydanticAIAdapter,
    ToolNotRegisteredError,
    create_pydantic_ai_client,
)
from agentmark_pydantic_ai_v0.models import (
    ModelNotRegisteredError,
    PydanticAIModelRegistry,
    create_default_model_registry,
)
from agentmark_pydantic_ai_v0.params import PydanticAIObjectParams, PydanticAITextParams
from agentmark_pydantic_ai_v0.record import Record
from agentmark_pydantic_ai_v0.runner import (
    ObjectRunResult,
    TextRunResult,
    run_object_prompt,
    run_text_prompt,
    stream_text_prompt,
)

__all__ = [
    "ModelNotRegisteredError",
    "ObjectRunResult",
    "PydanticAIAdapter",
    "PydanticAIModelRegistry",
    "PydanticAIObjectParams",
    "PydanticAITextParams",
    "Record",
    "TextRunResult",
    "ToolNotRegisteredError",
    "create_default_model_registry",
    "create_pydantic_ai_client",
    "run_object_prompt",
    "run_text_prompt",
    "stream_text_prompt",
]
