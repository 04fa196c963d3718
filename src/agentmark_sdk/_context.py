"""Whose work is being done: the scope that OpenTelemetry's context carries, and puts on every span."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextvars import Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, TypeVar

from opentelemetry.context import Context, attach, create_key, detach, get_current, get_value, set_value
from opentelemetry.sdk.trace import Span, SpanProcessor

from agentmark_sdk import attributes as names
from agentmark_sdk._values import Scalar, given, scalar

Entered = TypeVar("Entered")

_SCOPE = create_key("agentmark-scope")


@dataclass(frozen=True)
class Scope:
    """What all spans inside carry: wire attributes, and the tags that one of them lists."""

    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        session_id: object,
        session_name: object,
        user_id: object,
        metadata: Mapping[str, object] | None,
        tags: Iterable[str] | None,
    ) -> "Scope":
        """Make the scope of a call's options, without those that are None or empty."""
        ids = {
            names.SESSION_ID: given(session_id),
            names.SESSION_NAME: given(session_name),
            names.USER_ID: given(user_id),
        }
        attributes: dict[str, Scalar] = {key: value for key, value in ids.items() if value}
        said = {given(key): value for key, value in (metadata or {}).items() if value is not None}
        attributes |= {names.METADATA_PREFIX + key: scalar(value) for key, value in said.items() if key}
        listed = [tags] if isinstance(tags, str) else tags or ()
        return cls(attributes, tuple(tag for tag in map(given, listed) if tag))

    def inside(self, outer: "Scope") -> "Scope":
        """Take what this scope leaves open from the outer one; metadata and tags add up."""
        merged = dict(outer.attributes)
        here, around = self.attributes.get(names.SESSION_ID), merged.get(names.SESSION_ID)
        if here and here != around:
            merged.pop(names.SESSION_NAME, None)  # the name of another session
        merged |= self.attributes
        tags = tuple(dict.fromkeys(outer.tags + self.tags))
        if tags:
            merged[names.TAGS] = json.dumps(tags, ensure_ascii=False)
        return Scope(merged, tags)

    def missing(self, own: Mapping[str, object]) -> dict[str, Scalar]:
        """Give what a span with attributes `own` lacks of this scope; its own always win."""
        lacks = {key: value for key, value in self.attributes.items() if key not in own}
        if names.SESSION_ID in own:
            lacks.pop(names.SESSION_NAME, None)
        session_id = own.get(names.SESSION_ID, self.attributes.get(names.SESSION_ID))
        if session_id and names.CONVERSATION_ID not in own:
            lacks[names.CONVERSATION_ID] = scalar(session_id)
        return lacks


def within(scope: Scope, context: Context | None = None) -> Context:
    """Put `scope` inside the scope that a context (default: the current one) has."""
    context = get_current() if context is None else context
    return set_value(_SCOPE, scope.inside(scope_of(context)), context)


def scope_of(context: Context | None) -> Scope:
    """The scope that a context (None: the current one) carries."""
    found = get_value(_SCOPE, context)
    return found if isinstance(found, Scope) else Scope()


class ScopeProcessor(SpanProcessor):
    """Puts the scope on every span that starts, whichever library starts it."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Add what the span lacks of the scope of its context."""
        missing = scope_of(parent_context).missing(span.attributes or {})
        if missing:
            span.set_attributes(missing)


class Block(ABC, Generic[Entered]):
    """A `with` or `async with` block in which an OpenTelemetry context of ours is the current one.

    It may be entered again after it was left. It is for one task or thread at a time; make one for each.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[Token[Context], Entered]] = []

    @abstractmethod
    def _begin(self) -> tuple[Context, Entered]:
        """Make the block's context, and what `as` gives."""

    @abstractmethod
    def _end(self, entered: Entered, error: BaseException | None) -> None:
        """End what `_begin` began; `error` is what left the block, and the outer context is current again."""

    def __enter__(self) -> Entered:
        context, entered = self._begin()
        self._entries.append((attach(context), entered))
        return entered

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token, entered = self._entries.pop()
        _restore(token)
        self._end(entered, error)

    async def __aenter__(self) -> Entered:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def _restore(token: Token[Context]) -> None:
    # detach() logs a traceback when an async generator is closed by another task than the one that ran it.
    # There is nothing to restore there: the block's context never was current in that task.
    try:
        token.var.reset(token)
    except ValueError:
        pass
    except AttributeError:  # OTEL_PYTHON_CONTEXT names a context of somebody's own
        detach(token)
