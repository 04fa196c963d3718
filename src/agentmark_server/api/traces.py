"""`/v1/traces`: list them, open one."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from pydantic import Field

from agentmark_server.api.errors import NOT_FOUND, RESPONSES, NotFoundError
from agentmark_server.api.parameters import EncodedId, SliceParameters
from agentmark_server.api.reading import (
    MAX_TREE,
    DatesParameters,
    TreeParameters,
    hex_id,
)
from agentmark_server.api.schemas import ListReply, Pagination, TraceSchema
from agentmark_server.api.span_shapes import SpanReply, TraceReply, json_reply, span_shape
from agentmark_server.model import SpanStatus
from agentmark_server.settings import LOCAL_APP
from agentmark_server.spans import TraceOrder, TraceQuery
from agentmark_server.store import Store
