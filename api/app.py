"""Assemble the application: routes, error handlers, middleware."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api.dependencies.services import opened
from api.description import DescribedApi
from api.http import problems
from api.http.body_limit import BodyLimit
from api.http.request_metrics import RequestMetrics
from api.http.security_headers import SecurityHeaders
from api.routes import (
    agent,
    audio,
    audit,
    calls,
    directory,
    evidence,
    exports,
    health,
    legal_hold,
    live,
    portal,
    session,
    sessions,
    statistics,
    subjects,
    support,
)
from api.schemas import models
from fonoteka import __version__
from fonoteka.core.config import Configuration
from store.objects.bucket_place import redirect_of

_ROUTERS = (
    session,
    sessions,
    support,
    calls,
    exports,
    evidence,
    audio,
    statistics,
    audit,
    legal_hold,
    subjects,
    directory,
    live,
    agent,
    health,
)


def create_app(configuration: Configuration) -> FastAPI:
    """Create the API and the portal; the lifespan opens the store. Raises ConfigurationError."""
    app = DescribedApi(
        title="Fonoteka",
        version=__version__,
        lifespan=_lifespan,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,  # every resource has one address
        docs_url=None,  # the page loads scripts from another site
        redoc_url=None,
    )
    app.state.configuration = configuration
    app.add_middleware(BodyLimit)
    problems.install(app)
    # Outside of these, so that every answer has the headers.
    app.add_middleware(SecurityHeaders, media=redirect_of(configuration.store.objects))
    app.add_middleware(RequestMetrics)
    app.webhooks.add_api_route("live", _live_message, methods=["POST"], operation_id="liveMessage")
    for part in _ROUTERS:
        app.include_router(part.router)
    app.include_router(portal.portal_in(portal.STATIC))
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with opened(app.state.configuration) as services:
        app.state.services = services
        yield


def _live_message(_message: models.LiveCall | models.LiveRecording | models.LiveGone | models.LiveResync) -> None:
    """Message of the WebSocket `/api/live`; OpenAPI does not describe WebSockets."""
