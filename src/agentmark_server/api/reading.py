"""What the routes of traces and spans share: their ids, and the parameters of both."""

from typing import Annotated, Final, Literal, Self
from urllib.parse import unquote

from fastapi import Path
from pydantic import AfterValidator, Field, model_validator
from pydantic.config import JsonDict

from agentmark_server.api.errors import NotFoundError
from agentmark_server.api.parameters import SliceParameters
from agentmark_server.api.session_parameters import Time
from agentmark_server.model import Slice
from agentmark_server.times import parse_time

TRACE_ID_DIGITS: Final = 32
SPAN_ID_DIGITS: Final = 16
MAX_TREE: Final = 10_000
"""Spans of a trace in one answer."""
MAX_WITH_CONTENT: Final = 100
"""Spans in one answer that come with what they hold, which may be megabytes each."""
TRACE_EXAMPLE: Final = "5b8efff798038103d269b633813fc60c"
SPAN_EXAMPLE: Final = "051581bf3cb55c13"
# Described, and not checked by it: an id that is none is an error of its own kind (404, not 400).
TRACE_ID_SCHEMA: Final[JsonDict] = {"pattern": f"^[0-9A-Fa-f]{{{TRACE_ID_DIGITS}}}$"}
SPAN_ID_SCHEMA: Final[JsonDict] = {"pattern": f"^[0-9A-Fa-f]{{{SPAN_ID_DIGITS}}}$"}

TraceId = Annotated[
    str,
    AfterValidator(unquote),
    Path(description="32 hex digits.", examples=[TRACE_EXAMPLE], json_schema_extra=TRACE_ID_SCHEMA),
]
SpanId = Annotated[
    str,
    AfterValidator(unquote),
    Path(description="16 hex digits.", examples=[SPAN_EXAMPLE], json_schema_extra=SPAN_ID_SCHEMA),
]


def trace_id_of(text: str) -> bytes:
    """The id of a trace in a URL. Raises NotFoundError for what is none: nothing can be there."""
    return _id_of(text, "trace", TRACE_ID_DIGITS)


def span_id_of(text: str) -> bytes:
    """The id of a span in a URL. Raises NotFoundError for what is none."""
    return _id_of(text, "span", SPAN_ID_DIGITS)


def _id_of(text: str, noun: str, digits: int) -> bytes:
    found = _unhex(text, digits)
    if found is None:
        msg = f"there is no {noun} {text!r:.600}: its id would be {digits} hex digits"
        raise NotFoundError(msg)
    return found


def _unhex(text: str, digits: int) -> bytes | None:
    if len(text) != digits or not set(text) <= set("0123456789abcdefABCDEF"):
        return None
    return bytes.fromhex(text)


def _trace_id(text: str) -> str:
    if _unhex(text, TRACE_ID_DIGITS) is None:
        msg = f"a trace's id is {TRACE_ID_DIGITS} hex digits"
        raise ValueError(msg)
    return text


TraceIdValue = Annotated[str, AfterValidator(_trace_id), Field(json_schema_extra=TRACE_ID_SCHEMA)]
"""A trace's id as a parameter's value."""


class RangeParameters(SliceParameters):
    """Which part of a list, in which direction, of what overlaps a range of time."""

    start_date: Time | None = Field(
        None, description="Those that ended then or later, or began so and have no end: a time or a date (UTC)."
    )
    end_date: Time | None = Field(
        None, description="Those that began then or earlier: a time, or a date, which means its whole day."
    )
    sort_order: Literal["asc", "desc"] = Field("desc", description="Upwards or downwards.", examples=["desc"])

    @property
    def since(self) -> int | None:
        """The beginning of the range, in ns."""
        return parse_time(self.start_date).first if self.start_date else None

    @property
    def until(self) -> int | None:
        """The end of the range, in ns."""
        return parse_time(self.end_date).last if self.end_date else None


class ContentParameters(SliceParameters):
    """Which part of a list of spans, and whether with what they hold."""

    include: list[Literal["content"]] = Field(
        [],
        description=f"`content`: with input, output, messages, attributes, events and links; at most "
        f"{MAX_WITH_CONTENT} spans in one answer.",
        examples=[["content"]],
    )

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        if self.include and "limit" in self.model_fields_set and self.limit > MAX_WITH_CONTENT:
            msg = f"limit is at most {MAX_WITH_CONTENT} with content"
            raise ValueError(msg)
        return self

    @property
    def slice(self) -> Slice:
        """As the store takes it."""
        limit = min(self.limit, MAX_WITH_CONTENT) if self.include else self.limit
        return Slice(limit, self.offset, self.cursor)


class TreeParameters(ContentParameters):
    """Which part of a trace's spans, as they stand in its tree."""

    limit: int = Field(MAX_TREE, ge=1, le=MAX_TREE, description="How many spans at most.", examples=[100])
