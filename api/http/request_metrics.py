"""Measure how long requests wait for their answer."""

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

OTHER_PATHS: Final = "other"  # the portal's files, and addresses that do not exist


class RequestMetrics:
    """Count each request when its answer begins: the length of a download is not measured."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        began_s = time.perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                metrics = scope["app"].state.services.metrics
                metrics.count_request(_path_of(scope), message["status"], time.perf_counter() - began_s)
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)


def _path_of(scope: Scope) -> str:
    """Return the path of a request's route, in which parameters are names.

    What a client writes must not become the label of a metric: each value stays in memory.
    """
    path = str(getattr(scope.get("route"), "path", ""))
    return path if path.startswith(("/api/", "/agent/")) else OTHER_PATHS
