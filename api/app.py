"""The application: its routes, its errors, its headers, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api.dependencies.services import opened
from api.description import Described
from api.http import problems
from api.http.body_limit import BodyLimit
from api.http.security_headers import SecurityHeaders
from api.routes import agent, audio, audit, calls, directory, exports, health, live, portal, session, statistics, support
from api.routes import legal_hold as hold
from api.schemas import models
from fonoteka import __version__
from fonoteka.core.config import Configuration


def create_app(configuration: Configuration) -> FastAPI:
    """The API and the portal on one store, which is opened when the application's lifespan begins (ConfigurationError)."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(configuration) as services:
            app.state.services = services
            yield

    app = Described(
        title="Fonoteka",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,  # there is one address for a thing
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.add_middleware(BodyLimit)
    problems.install(app)
    app.add_middleware(SecurityHeaders)  # the outermost, so that no answer is without them
    app.webhooks.add_api_route("live", _live_message, methods=["POST"], operation_id="liveMessage")
    for part in (session, support, calls, exports, audio, statistics, audit, hold, directory, live, agent, health):
        app.include_router(part.router)
    app.include_router(portal.portal_in(portal.STATIC))
    return app


def _live_message(_message: models.LiveCall | models.LiveRecording | models.LiveGone | models.LiveResync) -> None:
    """What `/api/live` says over its WebSocket; OpenAPI has no word for those, so the shapes are told here."""
