"""Serve the application with uvicorn, as a coroutine."""

import asyncio
import gc
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import structlog
import uvicorn

from api.app import create_app
from api.http.connection_gate import ConnectionGate, ConnectionLimits
from api.http.gated_protocols import GatedConfig
from fonoteka.core.background_tasks import supervised
from fonoteka.core.config import Configuration, split_address
from fonoteka.core.errors import ConfigurationError

_LAST_REQUESTS_S: Final = 3
_CONNECTIONS: Final = ConnectionLimits()
_OTHER_FILES: Final = 1000  # of the index, of the objects that are sent, of libraries

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """A server that leaves the signals of the process to its caller."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals."""
        yield


async def run(configuration: Configuration) -> None:
    """Serve until cancelled; running requests may take a few seconds. Raises ConfigurationError."""
    listening = listen(configuration)
    app = create_app(configuration)
    gate = ConnectionGate(within_file_limit(_CONNECTIONS), configuration.api.forwarded_allow_ips)
    settings = GatedConfig(
        app,
        gate,
        log_config=None,
        access_log=False,
        lifespan="off",  # entered below, so that its exceptions are raised unchanged
        server_header=False,
        proxy_headers=bool(configuration.api.forwarded_allow_ips),
        forwarded_allow_ips=list(configuration.api.forwarded_allow_ips),
        ws_max_size=64 * 1024,
        timeout_keep_alive=gate.limits.idle_s,
        timeout_graceful_shutdown=_LAST_REQUESTS_S,
    )
    server = _Server(settings)
    with listening:
        async with app.router.lifespan_context(app), supervised("connections", gate.run):
            gc.freeze()  # collecting the imported objects makes some requests wait for tens of milliseconds
            gc.set_threshold(10_000)
            log.info("api.listens", address=configuration.api.listen)
            serving = asyncio.create_task(server.serve(sockets=[listening]), name="api")
            try:
                await asyncio.shield(serving)
            finally:
                await app.state.services.settings.release()
                await app.state.services.commands.release()
                server.should_exit = True
                await serving


def within_file_limit(limits: ConnectionLimits) -> ConnectionLimits:
    """Raise the process's limit of open files for the connections; else lower their number."""
    wanted = limits.connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return limits
    log.warning("connections.limited", reason=f"this process may open {soft} files only: raise LimitNOFILE")
    return replace(limits, connections=max(soft // 2, soft - _OTHER_FILES))


def listen(configuration: Configuration) -> socket.socket:
    """Open the socket of `api.listen`. Raises ConfigurationError, such as for an address in use."""
    host, port = split_address(configuration.api.listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the protocol is given; without it each answer waits 40 ms for
    # an ACK.
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
