"""`/v1/users`: who the sessions are of."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from agentmark_server.api.errors import NOT_FOUND, RESPONSES, NotFoundError
from agentmark_server.api.parameters import NoParameters, SliceParameters, UserId
from agentmark_server.api.schemas import ListReply, Pagination
from agentmark_server.api.session_parameters import Time
from agentmark_server.model import PICO, User
from agentmark_server.queries import UserOrder, UserQuery
from agentmark_server.settings import LOCAL_APP
from agentmark_server.store import Store
from agentmark_server.times import parse_time, rfc3339


class UserParameters(SliceParameters):
    """Which users, in which order, and which part of their list."""

    search: list[str] = Field([], description="A part of the id, in any case.", examples=[["ann"]])
    start_date: Time | None = Field(
        None, description="Only sessions that ended then or later: a time or a date (UTC)."
    )
    end_date: Time | None = Field(
        None, description="Only sessions that began then or earlier: a time, or a date, which means its whole day."
    )
    sort_by: UserOrder = Field(
        UserOrder.LAST,
        description="What to sort by: ties by id, those without a value last.",
        examples=["last_seen"],
    )
    sort_order: Literal["asc", "desc"] = Field("desc", description="Upwards or downwards.", examples=["desc"])

    @property
    def query(self) -> UserQuery:
        """As the store takes it."""
        return UserQuery(
            searches=tuple(self.search),
            since=parse_time(self.start_date).first if self.start_date else None,
            until=parse_time(self.end_date).last if self.end_date else None,
            order=self.sort_by,
            ascending=self.sort_order == "asc",
        )


class UserSchema(BaseModel):
    """A user: the sums are over the sessions that have this user, whoever else they have."""

    id: str
    session_count: int
    trace_count: int
    call_count: int = Field(description="Requests to models.")
    error_count: int = Field(description="Spans that failed with no failed span below them.")
    input_tokens: int
    output_tokens: int
    total_tokens: int = Field(description="Input and output tokens.")
    total_cost: float | None = Field(description="In USD; null while nothing has a price.")
    first_seen: str | None = Field(description="When the first of the sessions begins: RFC 3339, UTC.")
    last_seen: str | None = Field(description="When the last of the sessions ends: RFC 3339, UTC.")

    @classmethod
    def of(cls, user: User) -> Self:
        """The shape of a user."""
        return cls(
            id=user.id,
            session_count=user.session_count,
            trace_count=user.trace_count,
            call_count=user.call_count,
            error_count=user.error_count,
            input_tokens=user.input_tokens,
            output_tokens=user.output_tokens,
            total_tokens=user.input_tokens + user.output_tokens,
            total_cost=user.cost / PICO if user.priced_calls else None,
            first_seen=rfc3339(user.first),
            last_seen=rfc3339(user.last),
        )


class UserReply(BaseModel):
    """One user."""

    data: UserSchema


def router(store: Store) -> APIRouter:
    """The routes of users."""
    routes = APIRouter(prefix="/v1/users", tags=["Users"], responses=RESPONSES)

    @routes.get("", summary="List users")
    def list_users(parameters: Annotated[UserParameters, Query()]) -> ListReply[UserSchema]:
        """Users that fit, each with the sums over its sessions: with dates, over those that overlap their range.

        A session of several users counts for each of them.
        """
        page = store.list_users(LOCAL_APP, parameters.query, parameters.slice)
        users = [UserSchema.of(user) for user in page.items]
        return ListReply(data=users, pagination=Pagination.of(page, parameters.limit, parameters.offset))

    @routes.get("/{user_id}", summary="Show a user", responses=NOT_FOUND)
    def get_user(user_id: UserId, _: Annotated[NoParameters, Query()]) -> UserReply:
        """One user, with the sums over all of its sessions."""
        user = store.get_user(LOCAL_APP, user_id)
        if user is None:
            msg = f"there is no user {user_id!r:.600}"
            raise NotFoundError(msg)
        return UserReply(data=UserSchema.of(user))

    return routes
