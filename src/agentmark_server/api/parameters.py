"""The parameters that routes share. One that a route does not know is an error, never ignored."""

from typing import Annotated, Self
from urllib.parse import unquote

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from agentmark_server.model import Slice

MAX_LIMIT = 1000
MAX_OFFSET = 2**63 - 1

_ENCODED = "Percent-encoded: it may hold any characters."
# Routing goes by the raw path (see doors.RawPath), so that ids with slashes are one segment.
SessionId = Annotated[str, AfterValidator(unquote), Path(description=_ENCODED, examples=["chat-1"])]
UserId = Annotated[str, AfterValidator(unquote), Path(description=_ENCODED, examples=["ann"])]
ScoreId = Annotated[str, AfterValidator(unquote), Path(description=_ENCODED, examples=["score-1"])]


class SliceParameters(BaseModel):
    """Which part of a list: by `limit` and `offset`, or from the `cursor` of the page before."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="How many at most.", examples=[50])
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="How many to skip.", examples=[0])
    cursor: str | None = Field(
        None,
        description="`next_cursor` of the page before, of the same list in the same order; instead of `offset`.",
        examples=["WyIyIiwiY2hhdC0xIl0"],
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.cursor is not None and self.offset:
            msg = "cursor and offset cannot be combined: give one of them"
            raise ValueError(msg)
        return self

    @property
    def slice(self) -> Slice:
        """As the store takes it."""
        return Slice(self.limit, self.offset, self.cursor)


class NoParameters(BaseModel):
    """Of a route that takes none."""

    model_config = ConfigDict(extra="forbid")
