"""Which model a prompt's `model_name` means."""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Self, TypeAlias

from pydantic_ai.models import Model

Creator: TypeAlias = Callable[..., Model | str]
"""Called with the name, and with `options=None` if it takes two arguments; gives a model of pydantic-ai, or its
name there, as `openai:gpt-4o-mini`."""


class ModelNotRegisteredError(LookupError):
    """No model is registered under a prompt's `model_name`."""


class PydanticAIModelRegistry:
    """Models by the names that prompts use. What was registered first holds, exact names before patterns."""

    def __init__(self, default: Creator | None = None) -> None:
        self._names: dict[str, Creator] = {}
        self._patterns: list[tuple[re.Pattern[str], Creator]] = []
        self._default = default

    def register_models(self, names: str | re.Pattern[str] | Iterable[str], creator: Creator) -> Self:
        """Register a name, several, or all that match a pattern from their start; gives the registry itself."""
        if isinstance(names, re.Pattern):
            self._patterns.append((names, creator))
            return self
        for name in [names] if isinstance(names, str) else names:
            self._names.setdefault(name, creator)
        return self

    def model(self, name: str) -> Model | str:
        """The model of a name; raises `ModelNotRegisteredError`."""
        matching = (creator for pattern, creator in self._patterns if pattern.match(name))
        creator = self._names.get(name) or next(matching, self._default)
        if creator is None:
            known = ", ".join([*self._names, *(pattern.pattern for pattern, _ in self._patterns)]) or "none"
            msg = f"no model is registered as {name!r} (registered: {known}): use registry.register_models()"
            raise ModelNotRegisteredError(msg)
        return creator(name, None) if _takes_options(creator) else creator(name)


def create_default_model_registry() -> PydanticAIModelRegistry:
    """A registry that takes every name for pydantic-ai's own; `openai/gpt-4o` is `openai:gpt-4o` there."""
    return PydanticAIModelRegistry(lambda name: name if ":" in name else name.replace("/", ":", 1))


def _takes_options(creator: Creator) -> bool:
    parameters = inspect.signature(creator).parameters.values()
    positional = [one for one in parameters if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}]
    return len(positional) > 1 or any(one.kind is one.VAR_POSITIONAL for one in parameters)
