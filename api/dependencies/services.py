"""What requests share: opened once when the application starts, closed when it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import HTTPConnection

from api.audio.cache import AudioCache
from api.audit.trail import AuditTrail
from api.dependencies.metrics import Metrics
from api.exports.workspace import ExportRoom
from api.limits.concurrency import Places, Turns
from api.limits.failed_logins import FailedLogins
from api.limits.login_throttle import LoginThrottle, WaitingRoom
from api.live.change_watch import Watch
from api.live.hub import LiveHub
from api.support.desk import HelpDesk
from fonoteka.core.background_tasks import supervised
from fonoteka.core.config import Configuration
from store.database.store import Store
from store.provisioning.directory import version_of
from store.recorder_commands import mark

_CACHE_BYTES: Final = 2 * 1024**3
_SOCKETS_OF_AN_ACCOUNT: Final = 20  # a browser needs one, however many tabs it has
_POLLS_OF_A_PBX: Final = 16  # an agent holds two; one that was cut off may leave two behind for a minute each time
_ASKING_AT_ONCE: Final = 8  # of one account, about recordings: each waits up to 8 s, and looks whenever another is answered
_COUNTING_AT_ONCE: Final = 4  # of one account; the index has sixteen connections for all
_LOGINS_AT_ONCE: Final = 20  # of whom two have their password checked: the last waits a third of a second


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """One of each, for the life of the application."""

    configuration: Configuration
    store: Store
    settings: Watch[int]
    commands: Watch[tuple[int, int]]
    live: LiveHub
    metrics: Metrics
    audio: AudioCache
    audit: AuditTrail
    exports: ExportRoom
    login_throttle: LoginThrottle
    login_room: WaitingRoom
    live_places: Places[int]
    poll_places: Places[int]
    asking_places: Places[int]
    turns: Turns[int]
    help_desk: HelpDesk
    failed_logins: FailedLogins


@asynccontextmanager
async def opened(configuration: Configuration) -> AsyncIterator[Services]:
    """Open the store, sweep what an earlier run left, and keep the background tasks running. Raises ConfigurationError."""
    store = await Store.open(configuration.store, sweep=True)
    try:
        audio = AudioCache(store.objects.root.with_name(store.objects.root.name + "-cache"), limit_bytes=_CACHE_BYTES)
        await asyncio.to_thread(audio.prepare)
        live_places = Places[int](_SOCKETS_OF_AN_ACCOUNT)
        exports = ExportRoom(store.objects.root.with_name(store.objects.root.name + "-exports"))
        await asyncio.to_thread(exports.prepare)
        services = Services(
            configuration=configuration,
            store=store,
            settings=Watch(partial(version_of, store)),
            commands=Watch(partial(mark, store)),
            live=LiveHub(),
            metrics=Metrics(live_sockets=lambda: live_places.taken),
            audio=audio,
            audit=AuditTrail(store),
            exports=exports,
            login_throttle=LoginThrottle(),
            login_room=WaitingRoom(_LOGINS_AT_ONCE),
            live_places=live_places,
            poll_places=Places(_POLLS_OF_A_PBX),
            asking_places=Places(_ASKING_AT_ONCE),
            turns=Turns(_COUNTING_AT_ONCE),
            help_desk=HelpDesk(configuration.mail),
            failed_logins=FailedLogins(store),
        )
        async with (
            supervised("settings_watch", services.settings.watch),
            supervised("commands_watch", services.commands.watch),
            supervised("audit", services.audit.write),
            supervised("failed_logins", services.failed_logins.write),
        ):
            yield services
        await services.audit.close()
        await services.failed_logins.close()
    finally:
        await store.close()


def services_of(connection: HTTPConnection) -> Services:
    """The services of the application that a request came to."""
    services = connection.app.state.services
    assert isinstance(services, Services)
    return services


Shared = Annotated[Services, Depends(services_of)]
