"""Attributes of any ecosystem to the model: tables of rules, one dialect a file, and one walk over them."""

from collections.abc import Mapping
from typing import Any, Final

from agentmark_server.conventions import agentmark, genai, general
from agentmark_server.conventions.rules import Rule, text
from agentmark_server.model import Context, Kind, Role, SessionKey, Span, SpanView, Usage, Value

_SPAN: Final[dict[str, Rule]] = {**general.SPAN, **genai.SPAN, **agentmark.SPAN}
_RESOURCE: Final[dict[str, Rule]] = {**general.RESOURCE}

Found = dict[str, tuple[int, Any]]
"""For each field its value, and the rank of the key that gave it."""


def normalise(view: SpanView) -> Span:
    """What a span says, in the model's words. It depends on the span alone."""
    found = _read(view.attributes, _SPAN)
    kind, role = _value(found, "operation") or (Kind.FUNCTION, Role.UNKNOWN)
    return Span(
        trace_id=view.trace_id,
        span_id=view.span_id,
        parent_id=view.parent_id,
        name=view.name,
        start=view.start,
        end=view.end,
        status=view.status,
        kind=kind,
        role=role,
        usage=Usage(*(_value(found, field) for field in Usage.__struct_fields__)),
        model=_value(found, "model"),
        agent=_value(found, "agent"),
        trace_name=_value(found, "trace_name"),
        input=_value(found, "input"),
        output=_value(found, "output"),
        context=_context(found, _metadata(view.attributes), view.resource),
    )


def _read(attributes: Mapping[str, Value], rules: dict[str, Rule]) -> Found:
    found: Found = {}
    for key in attributes:
        rule = rules.get(key)
        if rule is None or (rule.field in found and found[rule.field][0] <= rule.rank):
            continue
        value = rule.read(attributes[key])
        if value is not None:
            found[rule.field] = (rule.rank, value)
    return found


def _value(found: Found, field: str) -> Any:
    return found[field][1] if field in found else None


def _key(found: Found, field: str) -> SessionKey | None:
    return SessionKey(found[field][1], found[field][0]) if field in found else None


def _metadata(attributes: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    prefix = agentmark.METADATA_PREFIX
    keys = sorted(key for key in attributes if key.startswith(prefix) and key not in _SPAN)
    pairs = ((key.removeprefix(prefix), text(attributes[key])) for key in keys)
    return tuple((key, value) for key, value in pairs if value is not None)


def _context(found: Found, metadata: tuple[tuple[str, str], ...], resource: Mapping[str, Value]) -> Context:
    surroundings = _read(resource, _RESOURCE)
    return Context(
        application_key=_key(found, "application_key"),
        framework_key=_key(found, "framework_key"),
        session_name=_value(found, "session_name"),
        user_id=_value(found, "user_id"),
        tags=_value(found, "tags") or (),
        metadata=metadata,
        service=_value(surroundings, "service"),
        environment=_value(surroundings, "environment"),
        release=_value(surroundings, "release"),
    )
