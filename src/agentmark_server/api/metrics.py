"""`/v1/metrics`: numbers over time."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from agentmark_server.api.errors import RESPONSES
from agentmark_server.api.session_parameters import Time
from agentmark_server.model import PICO
from agentmark_server.moments import Group, Histogram, Point, Series, percentiles
from agentmark_server.queries import BucketWidth, Dimension, MetricsQuery
from agentmark_server.settings import LOCAL_APP
from agentmark_server.store import Store
from agentmark_server.times import NS_IN_MS, parse_time, rfc3339


class MetricsParameters(BaseModel):
    """Which time, in which steps, and which calls."""

    model_config = ConfigDict(extra="forbid")

    start_date: Time | None = Field(
        None, description="From here on: a time or a date (UTC). By default the first thing that is known."
    )
    end_date: Time | None = Field(
        None, description="Up to here: a time, or a date, which means its whole day. By default the last thing."
    )
    bucket: BucketWidth | Literal["auto"] = Field(
        "auto",
        description="How long the steps are; `auto` suits the range. Weeks begin on Monday; all is UTC.",
        examples=["hour"],
    )
    group_by: Dimension | None = Field(None, description="Tell calls apart by this besides.", examples=["model"])
    model: list[str] = Field([], description="Only calls of this model.", examples=[["gpt-4o"]])
    agent: list[str] = Field([], description="Only calls of this agent.", examples=[["triage"]])
    service: list[str] = Field([], description="Only calls from this `service.name`.", examples=[["support-desk"]])
    environment: list[str] = Field(
        [], description="Only calls from this deployment environment.", examples=[["production"]]
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        query = self.query
        if query.since is not None and query.until is not None and query.since > query.until:
            msg = "start_date is after end_date"
            raise ValueError(msg)
        return self

    @property
    def query(self) -> MetricsQuery:
        """As the store takes it."""
        only = {
            Dimension.MODEL: self.model,
            Dimension.AGENT: self.agent,
            Dimension.SERVICE: self.service,
            Dimension.ENVIRONMENT: self.environment,
        }
        return MetricsQuery(
            since=parse_time(self.start_date).first if self.start_date else None,
            until=parse_time(self.end_date).last if self.end_date else None,
            width=None if self.bucket == "auto" else self.bucket,
            group_by=self.group_by,
            only=tuple((dimension, tuple(values)) for dimension, values in only.items() if values),
        )


class Percentiles(BaseModel):
    """Durations in milliseconds, at most 1% off: so many of a hundred are not longer; null without any."""

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, histogram: Histogram) -> Self:
        """The percentiles of durations."""
        found = percentiles(histogram, (0.5, 0.9, 0.95, 0.99))
        p50, p90, p95, p99 = (None if value is None else value / NS_IN_MS for value in found)
        return cls(p50=p50, p90=p90, p95=p95, p99=p99)


class CallNumbers(BaseModel):
    """What the calls of a stretch of time add up to, by their start."""

    calls: int = Field(description="Requests to models.")
    errors: int = Field(description="Spans that failed with no failed span below them.")
    input_tokens: int
    output_tokens: int
    total_tokens: int = Field(description="Input and output tokens.")
    cost: float | None = Field(description="In USD; null where nothing has a price.")
    latency_ms: Percentiles = Field(description="How long calls took.")


class Numbers(CallNumbers):
    """The numbers of a stretch of time. With only some calls asked for, what counts no calls is null."""

    sessions: int | None = Field(description="Sessions of which a span starts in it: each counts once.")
    traces: int | None = Field(description="Traces that begin in it.")
    failed_traces: int | None = Field(description="Those of them whose root failed.")
    duration_ms: Percentiles | None = Field(description="How long those took.")


class TimedCallNumbers(CallNumbers):
    """The numbers of one step."""

    time: str = Field(description="When the step begins: RFC 3339, UTC.")


class TimedNumbers(Numbers):
    """The numbers of one step."""

    time: str = Field(description="When the step begins: RFC 3339, UTC.")


class GroupSchema(BaseModel):
    """The calls of one value."""

    value: str | None = Field(description="Null for calls that have none.")
    totals: CallNumbers
    series: list[TimedCallNumbers]


class SeriesSchema(BaseModel):
    """Numbers over time: one step after the other, with none left out."""

    bucket: BucketWidth
    start: str | None = Field(description="When the first step begins.")
    end: str | None = Field(description="When the last step is over.")
    totals: Numbers = Field(
        description="Over all steps. A session counts once, so that those of steps may be more."
    )
    series: list[TimedNumbers]
    group_by: Dimension | None
    groups: list[GroupSchema] | None = Field(description="Those with the most calls first, 20 at most.")
    group_count: int | None = Field(description="How many groups there are, shown or not.")

    @classmethod
    def of(cls, series: Series, group_by: Dimension | None) -> Self:
        """The shape of a series."""
        return cls(
            bucket=next(width for width in BucketWidth if width.minutes == series.minutes),
            start=rfc3339(series.start),
            end=rfc3339(series.end),
            totals=Numbers.model_validate(_numbers(series.totals)),
            series=[TimedNumbers.model_validate(_numbers(point)) for point in series.points],
            group_by=group_by,
            groups=None if series.groups is None else [_group(group) for group in series.groups],
            group_count=series.group_count,
        )


def _numbers(point: Point) -> dict[str, object]:
    durations = point.durations
    return {
        **_call_numbers(point),
        "sessions": point.sessions,
        "traces": point.traces,
        "failed_traces": point.failed_traces,
        "duration_ms": None if durations is None else Percentiles.of(durations),
    }


def _call_numbers(point: Point) -> dict[str, object]:
    tally = point.tally
    return {
        "time": rfc3339(point.start),
        "calls": tally.calls,
        "errors": tally.errors,
        "input_tokens": tally.input_tokens,
        "output_tokens": tally.output_tokens,
        "total_tokens": tally.input_tokens + tally.output_tokens,
        "cost": tally.cost / PICO if tally.priced_calls else None,
        "latency_ms": Percentiles.of(tally.latencies),
    }


def _group(group: Group) -> GroupSchema:
    return GroupSchema(
        value=group.value,
        totals=CallNumbers.model_validate(_call_numbers(group.totals)),
        series=[TimedCallNumbers.model_validate(_call_numbers(point)) for point in group.points],
    )


class MetricsReply(BaseModel):
    """Numbers over time."""

    data: SeriesSchema


def router(store: Store) -> APIRouter:
    """The route of numbers over time."""
    routes = APIRouter(prefix="/v1/metrics", tags=["Metrics"], responses=RESPONSES)

    @routes.get("", summary="Numbers over time")
    def get_metrics(parameters: Annotated[MetricsParameters, Query()]) -> MetricsReply:
        """What sessions add up to over time: calls by their start, traces by theirs.

        Steps are whole: one that the range touches counts with all that is in it. 11,000 steps are the most.
        """
        series = store.get_metrics(LOCAL_APP, parameters.query)
        return MetricsReply(data=SeriesSchema.of(series, parameters.group_by))

    return routes
