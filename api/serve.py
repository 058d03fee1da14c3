"""Serving the application with uvicorn, as one coroutine among others."""

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
import uvicorn

from api.app import create_app
from api.http.head_limit import BoundedHead
from fonoteka.core.config import Configuration, split_address
from fonoteka.core.errors import ConfigurationError

_LAST_REQUESTS_S: Final = 3
# Longer than nginx, our Caddyfile (60) and httpx (5) keep an idle connection: who closes first loses a request on its way.
_IDLE_S: Final = 75
_MOST_AT_ONCE: Final = 2000  # connections; most are live sockets of open portals. Beyond: 503, before memory or files run out

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """Leaves the process's signals to whoever runs us."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


async def run(configuration: Configuration) -> None:
    """Serve until cancelled; then running requests get a few seconds. Raises ConfigurationError where it cannot begin."""
    listening = listen(configuration)
    app = create_app(configuration)
    settings = uvicorn.Config(
        app,
        http=BoundedHead,
        log_config=None,
        access_log=False,
        lifespan="off",  # ours is entered here, so that what it raises comes out as it is
        server_header=False,
        proxy_headers=bool(configuration.api.forwarded_allow_ips),
        forwarded_allow_ips=list(configuration.api.forwarded_allow_ips),
        limit_concurrency=_MOST_AT_ONCE,
        ws_max_size=64 * 1024,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_LAST_REQUESTS_S,
    )
    server = _Server(settings)
    with listening:
        async with app.router.lifespan_context(app):
            gc.freeze()  # what was imported stays: looking through it again makes some requests wait for tens of milliseconds
            gc.set_threshold(10_000)
            log.info("api_listens", address=configuration.api.listen)
            serving = asyncio.create_task(server.serve(sockets=[listening]), name="api")
            try:
                await asyncio.shield(serving)
            finally:
                await app.state.services.settings.release()
                await app.state.services.commands.release()
                server.should_exit = True
                await serving


def listen(configuration: Configuration) -> socket.socket:
    """The socket of `api.listen`. Raises ConfigurationError, for example where another program has it."""
    host, port = split_address(configuration.api.listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named in full: only for a socket that says it is TCP does asyncio send at once, else each answer waits 40 ms for an ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"api.listen = {configuration.api.listen!r}: {error.strerror}; choose another address or stop what listens there"
        ) from error
    return listening
