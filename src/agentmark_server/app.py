"""Where the parts meet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from agentmark_server import dashboard, ingest
from agentmark_server.api import (
    changes,
    conversation,
    description,
    errors,
    events,
    export,
    health,
    metrics,
    scores,
    sessions,
    spans,
    templates,
    traces,
    users,
)
from agentmark_server.decoders import Decoders
from agentmark_server.decoding import SpanReader
from agentmark_server.doors import LocalOnly, RawPath
from agentmark_server.indexer import Indexer
from agentmark_server.live import Live
from agentmark_server.pricing import Prices
from agentmark_server.settings import Settings
from agentmark_server.store import open_store
from agentmark_server.writer import Writer


class _Server(FastAPI):
    """Describes what its routes answer with that is not made with pydantic, and nothing that they do not."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["components"]["schemas"] |= conversation.COMPONENTS
        return description.corrected(document)


def create_app(settings: Settings) -> FastAPI:
    """The whole server as one ASGI application; it closes its store when it shuts down.

    Raises `store.StoreError` when the database cannot be opened, `pricing.PricesError` for the file of prices.
    """
    reader = SpanReader(Prices(settings.prices))
    store = open_store(settings.db, reader)
    live = Live()
    writer = Writer(store, live.announce)
    decoders = Decoders(reader, settings.prices, settings.max_body_bytes)
    indexer = Indexer(store, decoders.is_busy)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        writer.start()
        indexer.start()
        try:
            yield
        finally:
            live.close()
            await decoders.stop()
            writer.stop()
            indexer.stop()
            store.close()

    app = _Server(
        title="AgentMark",
        version="1",
        description="Sessions of language model programs: the traces of one conversation, job or workflow.",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    errors.install(app)
    app.include_router(ingest.router(writer, decoders, settings))
    app.include_router(sessions.router(store, settings))
    app.include_router(traces.router(store))
    app.include_router(spans.router(store))
    app.include_router(users.router(store))
    app.include_router(metrics.router(store))
    app.include_router(scores.router(store))
    app.include_router(conversation.router(store, settings))
    app.include_router(changes.router(store, live, settings))
    app.include_router(export.router(store, settings))
    app.include_router(events.router(store, live))
    app.state.close_streams = live.close  # before a server waits for the requests under way
    app.include_router(templates.router(settings.project))
    app.include_router(health.router)
    if settings.ui:
        app.include_router(dashboard.router)
    app.add_middleware(RawPath)
    app.add_middleware(LocalOnly)
    return app
