"""The messages of a prompt, as pydantic-ai takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)

from agentmark_prompts import Message


@dataclass(frozen=True)
class Conversation:
    """Instructions, what was said before, and what is said now (None: the model goes on from what was said)."""

    instructions: str | None
    history: tuple[ModelMessage, ...]
    user_prompt: str | None

    @classmethod
    def of(cls, messages: Sequence[Message]) -> "Conversation":
        """Take the system messages at the beginning for instructions, and a user's at the end for the prompt."""
        first = next((index for index, one in enumerate(messages) if one.role != "system"), len(messages))
        instructions = "\n\n".join(message.content for message in messages[:first])
        rest = list(messages[first:])
        prompt = rest.pop().content if rest and rest[-1].role == "user" else None
        history = _history(rest)
        if prompt is None and history and isinstance(history[-1], ModelResponse):
            history.append(ModelRequest(parts=[]))  # else pydantic-ai takes the last message for the answer
        return cls(instructions or None, tuple(history), prompt)

    def after(self, earlier: Sequence[ModelMessage]) -> list[ModelMessage]:
        """The history with what was said in earlier runs, which may begin with this prompt's own examples."""
        own, said = _said(self.history), _said(earlier)
        return list(earlier) if earlier and said[: len(own)] == own else [*self.history, *earlier]


def _history(messages: Sequence[Message]) -> list[ModelMessage]:
    history: list[ModelMessage] = []
    for by_model, group in groupby(messages, lambda message: message.role == "assistant"):
        if by_model:
            history.append(ModelResponse(parts=[TextPart(message.content) for message in group]))
        else:
            history.append(ModelRequest(parts=[_part(message) for message in group]))
    return history


def _part(message: Message) -> ModelRequestPart:
    return (UserPromptPart if message.role == "user" else SystemPromptPart)(message.content)


def _said(messages: Sequence[ModelMessage]) -> list[tuple[str, object]]:
    """What messages say, without their times; pydantic-ai may have put several into one."""
    return [(part.part_kind, getattr(part, "content", None)) for message in messages for part in message.parts]
