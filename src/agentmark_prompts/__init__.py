"""Prompts in files: `.prompt.mdx`, read, checked and rendered in Python.

`create_agentmark()` makes a client; `FileLoader` and `ApiLoader` say where its prompts are; docs/prompts.md tells
what a file may hold. Adapters, as `agentmark_pydantic_ai_v0`, make of a prompt what their framework runs.
"""

from agentmark_prompts.client import (
    Adapter,
    AgentMark,
    Formatted,
    LoadedPrompt,
    create_agentmark,
)
from agentmark_prompts.errors import LoadError, NotFoundError, PromptError, PropsError, TemplateError
from agentmark_prompts.frontmatter import ModelConfig, ObjectConfig, TextConfig, ToolUse
from agentmark_prompts.loaders import ApiLoader, FileLoader, Loader
from agentmark_prompts.nodes import Message
from agentmark_prompts.telemetry import Telemetry

__all__ = [
    "Adapter",
    "AgentMark",
    "ApiLoader",
    "FileLoader",
    "Formatted",
    "LoadError",
    "LoadedPrompt",
    "Loader",
    "Message",
    "ModelConfig",
    "NotFoundError",
    "ObjectConfig",
    "PromptError",
    "PropsError",
    "Telemetry",
    "TemplateError",
    "TextConfig",
    "ToolUse",
    "create_agentmark",
]
