"""`/health`: whether the server answers."""

from importlib.metadata import version

from fastapi import APIRouter

from agentmark_server.api.errors import ANY_ROUTE
from agentmark_server.api.schemas import Health

router = APIRouter(tags=["Server"], responses=ANY_ROUTE)
_VERSION = version("agentmark")


@router.get("/health", summary="Is the server there")
def get_health() -> Health:
    """Answers as soon as the server takes requests."""
    return Health(status="ok", version=_VERSION)
