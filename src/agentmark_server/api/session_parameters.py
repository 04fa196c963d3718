"""What the list of sessions can be asked: `GET /v1/sessions`."""

import math
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    FiniteFloat,
    ModelWrapValidatorHandler,
    PrivateAttr,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)

from agentmark_server import filters
from agentmark_server.api.parameters import SliceParameters
from agentmark_server.model import PICO, SessionStatus
from agentmark_server.queries import Activity, Between, LabelKind, Labelled, Order, SessionQuery
from agentmark_server.times import parse_time

_NS_IN_MS: Final = 10**6
_UNITS: Final = {"duration_ms": _NS_IN_MS, "active_ms": _NS_IN_MS, "latency_ms": _NS_IN_MS, "total_cost": PICO}
_COUNTS: Final = (
    *("trace_count", "span_count", "call_count", "error_count", "failed_trace_count", "input_tokens"),
    *("output_tokens", "cached_tokens", "reasoning_tokens", "total_tokens", "unpriced_calls", "unmetered_calls"),
    "unaccounted_tokens",
)
NUMBERS: Final = (*_UNITS, *_COUNTS)
"""The columns that can be bounded."""


def _time(text: str) -> str:
    parse_time(text)
    return text


def _filter(text: str) -> str:
    filters.parse(text)
    return text


Time = Annotated[
    str,
    AfterValidator(_time),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}],
            "examples": ["2026-11-23T09:30:00Z", "2026-11-23"],
        }
    ),
]
"""A time or a date that can be read."""


class SessionParameters(SliceParameters):
    """Which sessions, in which order, and which part of their list."""

    name: list[str] = Field([], description="A part of the name, in any case.", examples=[["billing"]])
    user_id: list[str] = Field([], description="One of the session's users.", examples=[["ann"]])
    user_id_camel: list[str] = Field([], alias="userId", description="The same as `user_id`.", examples=[["ann"]])
    start_date: Time | None = Field(None, description="Sessions that ended then or later: a time or a date (UTC).")
    end_date: Time | None = Field(
        None, description="Sessions that began then or earlier: a time, or a date, which means its whole day."
    )
    model: list[str] = Field([], description="A model that was called.", examples=[["gpt-4o"]])
    agent: list[str] = Field([], description="An agent that took part.", examples=[["triage"]])
    service: list[str] = Field(
        [], description="A `service.name` that spans came from.", examples=[["support-desk"]]
    )
    environment: list[str] = Field([], description="A deployment environment.", examples=[["production"]])
    release: list[str] = Field([], description="A release of the service.", examples=[["1.4.2"]])
    tag: list[str] = Field([], description="A tag.", examples=[["beta"]])
    status: list[SessionStatus] = Field(
        [], description="`active`, `idle` or `ended`.", examples=[["active", "idle"]]
    )
    filter: Annotated[str, AfterValidator(_filter)] | None = Field(
        None,
        description="An expression, such as `total_cost > 0.01 and any(span.status = ERROR)`.",
        examples=["total_cost > 0.01 and any(span.status = ERROR)"],
    )
    search: list[str] = Field([], description="A part of the id or of the name, in any case.", examples=[["chat"]])
    q: list[str] = Field(
        [],
        description="Words that are all in the messages: whole words, in any order and case, accents aside.",
        examples=[["refund order"]],
    )
    sort_by: Order = Field(
        Order.END, description="What to sort by: ties by id, those without a value last.", examples=["total_cost"]
    )
    sort_order: Literal["asc", "desc"] = Field("desc", description="Upwards or downwards.", examples=["desc"])
    _metadata: dict[str, list[str]] = PrivateAttr(default_factory=dict)
    _bounds: dict[str, float] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _named(cls, given: dict[str, Any], read: ModelWrapValidatorHandler[Self]) -> Self:
        """Read parameters with a name in their own apart: `metadata.<key>`, `min_<column>`, `max_<column>`."""
        bounds = {name: value for name, value in given.items() if name in _BOUNDS}
        metadata = {name: value for name, value in given.items() if name.startswith(_METADATA)}
        rest = {name: value for name, value in given.items() if name not in metadata.keys() | bounds.keys()}
        parameters = read(rest)
        parameters._bounds = _numbers.validate_python(bounds)  # noqa: SLF001  # its own
        parameters._metadata = {  # noqa: SLF001
            name.removeprefix(_METADATA): value if isinstance(value, list) else [value]
            for name, value in metadata.items()
        }
        return parameters

    def query(self, activity: Activity) -> SessionQuery:
        """As the store takes it."""
        labels = {
            LabelKind.USER: [*self.user_id, *self.user_id_camel],
            LabelKind.MODEL: self.model,
            LabelKind.AGENT: self.agent,
            LabelKind.SERVICE: self.service,
            LabelKind.ENVIRONMENT: self.environment,
            LabelKind.RELEASE: self.release,
            LabelKind.TAG: self.tag,
        }
        labelled = [Labelled(kind, tuple(said)) for kind, said in labels.items() if said]
        keyed = [Labelled(LabelKind.METADATA, tuple(said), key) for key, said in self._metadata.items()]
        return SessionQuery(
            names=tuple(self.name),
            labelled=(*labelled, *keyed),
            since=parse_time(self.start_date).first if self.start_date else None,
            until=parse_time(self.end_date).last if self.end_date else None,
            between=tuple(self._between()),
            statuses=tuple(dict.fromkeys(self.status)),
            filter=filters.parse(self.filter) if self.filter is not None else None,
            search=tuple(self.search),
            q=tuple(self.q),
            activity=activity,
            order=self.sort_by,
            ascending=self.sort_order == "asc",
        )

    def _between(self) -> list[Between]:
        columns = {name.partition("_")[2] for name in self._bounds}
        return [
            Between(column, self._bound("min", column, math.ceil), self._bound("max", column, math.floor))
            for column in sorted(columns)
        ]

    def _bound(self, side: str, column: str, whole: Any) -> int | None:
        """In the model's units, which are whole numbers that fit into 64 bits."""
        value = self._bounds.get(f"{side}_{column}")
        if value is None:
            return None
        exact: int = whole(Decimal(str(value)) * _UNITS.get(column, 1))
        return max(-(2**63), min(exact, 2**63 - 1))


_METADATA: Final = "metadata."
_numbers: Final = TypeAdapter(dict[str, FiniteFloat])
_BOUNDS: Final = frozenset(f"{side}_{column}" for side in ("min", "max") for column in NUMBERS)

NAMED_PARAMETERS: Final = {
    "parameters": [
        *(
            {
                "name": f"{side}_{column}",
                "in": "query",
                "required": False,
                "schema": {"type": "number"},
                "description": f"The {word} {column}, itself included.",
                "example": 2,
            }
            for column in NUMBERS
            for side, word in (("min", "least"), ("max", "greatest"))
        ),
        {
            "name": "metadata.<key>",
            "in": "query",
            "required": False,
            "schema": {"type": "array", "items": {"type": "string"}},
            "description": "A value of metadata; `<key>` stands for its key.",
            "example": ["prod"],
        },
    ]
}
"""For the API's description: the parameters that no field declares."""
