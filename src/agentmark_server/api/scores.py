"""`/v1/scores`: what somebody or something thinks of sessions, traces and spans."""

import time
from typing import Annotated, Final, Literal, Self
from uuid import uuid4

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator
from pydantic.config import JsonDict

from agentmark_server.api.errors import NOT_FOUND, RESPONSES, NotFoundError
from agentmark_server.api.parameters import NoParameters, ScoreId, SliceParameters
from agentmark_server.api.reading import SPAN_ID_SCHEMA, TRACE_EXAMPLE, TRACE_ID_SCHEMA
from agentmark_server.api.schemas import ListReply, Pagination, ScoreSchema
from agentmark_server.api.session_parameters import Time
from agentmark_server.model import ResourceType, Score
from agentmark_server.queries import ScoreQuery
from agentmark_server.settings import LOCAL_APP
from agentmark_server.store import Store
from agentmark_server.times import parse_time

_TRACE_DIGITS = 32
_SPAN_DIGITS = 16

Id = Annotated[str, Field(min_length=1, max_length=512)]
Word = Annotated[str, Field(min_length=1, max_length=512)]
Prose = Annotated[str, Field(max_length=65_536)]

# What `NewScore` wants of its ids together, for the API's description.
_OF_A_SESSION: Final[JsonDict] = {
    "title": "Of a session",
    "properties": {"resource_type": {"const": "session"}, "trace_id": {"type": "null"}},
    "required": ["resource_type"],
}
_OF_A_TRACE: Final[JsonDict] = {
    "title": "Of a trace",
    "properties": {
        "resource_type": {"const": "trace"},
        "resource_id": {"type": "string", **TRACE_ID_SCHEMA},
        "trace_id": {"type": "null"},
    },
}
_OF_A_SPAN: Final[JsonDict] = {
    "title": "Of a span",
    "properties": {
        "resource_type": {"const": "span"},
        "resource_id": {"type": "string", **SPAN_ID_SCHEMA},
        "trace_id": {"type": "string", **TRACE_ID_SCHEMA},
    },
    "required": ["resource_type", "trace_id"],
}


class NewScore(BaseModel):
    """A score to keep. Its resource need not be there yet."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"resource_type": "session", "resource_id": "chat-1", "name": "helpful", "score": 1},
            "anyOf": [_OF_A_SESSION, _OF_A_TRACE, _OF_A_SPAN],
        },
    )

    id: Id | None = Field(None, description="One of your own: sent again it replaces what it said before.")
    resource_type: ResourceType = "trace"
    resource_id: Id = Field(description="The id of the session, the trace or the span; of these two in hex.")
    trace_id: str | None = Field(None, description="The trace of a span, in hex.")
    name: Word
    score: FiniteFloat
    label: Prose | None = None
    reason: Prose | None = None
    source: Word = Field("api", description="Who says so: a person, an evaluation.")

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if self.resource_type != "session":
            digits = _TRACE_DIGITS if self.resource_type == "trace" else _SPAN_DIGITS
            self.resource_id = _hex("resource_id", self.resource_id, digits)
        if self.resource_type == "span":
            self.trace_id = _hex("trace_id", self.trace_id or "", _TRACE_DIGITS)
        elif self.trace_id is not None:
            msg = "trace_id is for spans alone"
            raise ValueError(msg)
        return self

    def made(self, now: int) -> Score:
        """As the store takes it, at the time `now` (ns)."""
        return Score(
            id=self.id or str(uuid4()),
            resource_type=self.resource_type,
            resource_id=self.resource_id,
            trace_id=self.resource_id if self.resource_type == "trace" else self.trace_id,
            name=self.name,
            score=self.score,
            label=self.label,
            reason=self.reason,
            source=self.source,
            created_at=now,
        )


def _hex(field: str, text: str, digits: int) -> str:
    """An id in lower case. Raises ValueError."""
    lower = text.lower()
    if len(lower) != digits or set(lower) - set("0123456789abcdef"):
        msg = f"{field} of a {'trace' if digits == _TRACE_DIGITS else 'span'} has {digits} hexadecimal digits"
        raise ValueError(msg)
    return lower


class ScoreParameters(SliceParameters):
    """Which scores, in which order, and which part of their list."""

    resource_type: list[ResourceType] = Field(
        [], description="`session`, `trace` or `span`.", examples=[["session"]]
    )
    resource_id: list[str] = Field([], description="What the score is of.", examples=[["chat-1"]])
    trace_id: list[str] = Field(
        [], description="A trace: scores of it and of its spans.", examples=[[TRACE_EXAMPLE]]
    )
    name: list[str] = Field([], description="The name, exactly.", examples=[["helpful"]])
    source: list[str] = Field([], description="The source, exactly.", examples=[["api"]])
    min_score: FiniteFloat | None = Field(None, description="The least score, itself included.", examples=[0.5])
    max_score: FiniteFloat | None = Field(None, description="The greatest score, itself included.", examples=[1])
    start_date: Time | None = Field(None, description="Made then or later: a time or a date (UTC).")
    end_date: Time | None = Field(
        None, description="Made then or earlier: a time, or a date, which means its whole day."
    )
    sort_by: Literal["created_at"] = Field("created_at", description="Ties by id.", examples=["created_at"])
    sort_order: Literal["asc", "desc"] = Field("desc", description="Upwards or downwards.", examples=["desc"])

    @property
    def query(self) -> ScoreQuery:
        """As the store takes it."""
        return ScoreQuery(
            resource_types=tuple(self.resource_type),
            resource_ids=tuple(self.resource_id),
            trace_ids=tuple(text.lower() for text in self.trace_id),
            names=tuple(self.name),
            sources=tuple(self.source),
            least=self.min_score,
            most=self.max_score,
            since=parse_time(self.start_date).first if self.start_date else None,
            until=parse_time(self.end_date).last if self.end_date else None,
            ascending=self.sort_order == "asc",
        )


class MadeId(BaseModel):
    """The id of a score."""

    id: str


class ScoreMade(BaseModel):
    """What was made, or deleted."""

    data: MadeId


class ScoreReply(BaseModel):
    """One score."""

    data: ScoreSchema


def router(store: Store) -> APIRouter:
    """The routes of scores."""
    routes = APIRouter(prefix="/v1/scores", tags=["Scores"], responses=RESPONSES)

    @routes.post("", summary="Score a session, a trace or a span", status_code=201)
    def add_score(score: NewScore, _: Annotated[NoParameters, Query()]) -> ScoreMade:
        """Keep one score. With an `id` of your own, sending it again makes no second one."""
        made = score.made(time.time_ns())
        store.put_score(LOCAL_APP, made)
        return ScoreMade(data=MadeId(id=made.id))

    @routes.get("", summary="List scores")
    def list_scores(parameters: Annotated[ScoreParameters, Query()]) -> ListReply[ScoreSchema]:
        """Scores that fit all parameters together. A repeated parameter means any of its values."""
        page = store.list_scores(LOCAL_APP, parameters.query, parameters.slice)
        scores = [ScoreSchema.of(score) for score in page.items]
        return ListReply(data=scores, pagination=Pagination.of(page, parameters.limit, parameters.offset))

    @routes.get("/{score_id}", summary="Show a score", responses=NOT_FOUND)
    def get_score(score_id: ScoreId, _: Annotated[NoParameters, Query()]) -> ScoreReply:
        """One score."""
        score = store.get_score(LOCAL_APP, score_id)
        if score is None:
            raise _missing(score_id)
        return ScoreReply(data=ScoreSchema.of(score))

    @routes.delete("/{score_id}", summary="Delete a score", responses=NOT_FOUND)
    def delete_score(score_id: ScoreId, _: Annotated[NoParameters, Query()]) -> ScoreMade:
        """Delete one score."""
        if not store.delete_score(LOCAL_APP, score_id):
            raise _missing(score_id)
        return ScoreMade(data=MadeId(id=score_id))

    return routes


def _missing(score_id: str) -> NotFoundError:
    return NotFoundError(f"there is no score {score_id!r:.600}")
