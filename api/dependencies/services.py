"""Services that requests share: opened when the application starts, closed when it ends."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import HTTPConnection

from api.agent_links import AgentLinks
from api.audio.cache import AudioCache
from api.audit.failed_logins import FailedLogins
from api.audit.heads import AuditHeads
from api.audit.trail import AuditTrail
from api.dependencies.metrics import Metrics
from api.exports.workspace import ExportWorkspace
from api.http.uploads import UploadWorkspace
from api.limits.concurrency_limit import ConcurrencyLimit
from api.limits.logins import Logins
from api.live.change_watch import ChangeWatch
from api.live.hub import LiveHub
from api.object_locks import ObjectLocks
from api.quota_watch import QuotaWatch
from api.readiness import BucketReadiness, Readiness, readiness_of
from api.retention import RetentionWork
from api.store_disk import StoreDisk
from api.support.desk import SupportDesk
from fonoteka.core.agent_protocol import PbxLink
from fonoteka.core.background_tasks import supervised
from fonoteka.core.config import Configuration
from store.audit.signing import AuditKey, key_file
from store.database.signals import Signal, SignalKind, Subscriber
from store.database.store import Store
from store.integrity.intact import IntactObjects
from store.objects.copies import copies_folder
from store.provisioning.directory import version_of
from store.recorder_commands import mark
from store.retention.own_process import delete_due_apart

_CACHE_BYTES: Final = 2 * 1024**3
_SOCKETS_OF_AN_ACCOUNT: Final = 20  # a browser needs one, however many tabs it has
# An agent holds two; if its connection is cut off, they stay open for up to a minute.
_POLLS_OF_A_PBX: Final = 16
# Each waits up to 8 s, and reads its answer whenever any command is answered.
_RECORDING_COMMANDS_OF_AN_ACCOUNT: Final = 8
_QUERIES_OF_AN_ACCOUNT: Final = 4  # the index has sixteen connections for all accounts
_LINKS: Final = frozenset(PbxLink)
_SECONDS: Final = re.compile(r"-?[0-9]{1,12}")
_LOGINS: Final = 20  # two passwords are checked at a time: the last login waits a third of a second


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """The services of one application."""

    configuration: Configuration
    store: Store
    readiness: Readiness
    buckets: BucketReadiness
    agent_links: AgentLinks
    settings: ChangeWatch[int]
    commands: ChangeWatch[tuple[int, int]]
    live: LiveHub
    metrics: Metrics
    audio: AudioCache
    intact: IntactObjects
    audit: AuditTrail
    audit_heads: AuditHeads
    audit_key: AuditKey
    exports: ExportWorkspace
    uploads: UploadWorkspace
    failed_logins: FailedLogins
    login_throttle: Logins
    logins: ConcurrencyLimit[bool]  # strangers cannot take the slots of known devices
    live_sockets: ConcurrencyLimit[int]
    agent_polls: ConcurrencyLimit[int]
    recording_commands: ConcurrencyLimit[int]
    account_queries: ConcurrencyLimit[int]
    support: SupportDesk
    retention: RetentionWork
    object_locks: ObjectLocks
    disk: StoreDisk


@asynccontextmanager
async def opened(configuration: Configuration) -> AsyncIterator[Services]:
    """Open the store and run the background tasks while the block runs. Raises ConfigurationError.

    Files that an earlier run left unfinished are deleted.
    """
    store = await Store.open(configuration.store, sweep=True)
    try:
        services = await _services(configuration, store)
        store.signals.subscribers.append(_subscriber(services))
        async with (
            supervised("signals", store.signals.run),
            supervised("settings_watch", services.settings.run),
            supervised("commands_watch", services.commands.run),
            supervised("audit", services.audit.run),
            supervised("audit_heads", services.audit_heads.run),
            supervised("failed_logins", services.failed_logins.run),
            supervised("retention", services.retention.run),
            supervised("object_locks", services.object_locks.run),
            supervised("store_disk", services.disk.run),
        ):
            yield services
        services.failed_logins.flush()
        await services.audit.close()
    finally:
        await store.close()


async def _services(configuration: Configuration, store: Store) -> Services:
    objects = store.objects.workspace
    audio = AudioCache(copies_folder(store.objects), limit_bytes=_CACHE_BYTES, is_shared=store.has_replicas)
    await asyncio.to_thread(audio.prepare)
    exports = ExportWorkspace(objects.with_name(objects.name + "-exports"))
    await asyncio.to_thread(exports.prepare)
    uploads = UploadWorkspace(objects.with_name(objects.name + "-uploads"))
    await asyncio.to_thread(uploads.prepare)
    audit = AuditTrail(store)
    audit_key = await asyncio.to_thread(AuditKey.load, key_file(configuration.store.audit_key, objects))
    live_sockets = ConcurrencyLimit[int](_SOCKETS_OF_AN_ACCOUNT)
    metrics = Metrics(live_sockets=lambda: live_sockets.in_use)

    def hears_all() -> bool:
        return store.signals.hears_others

    return Services(
        configuration=configuration,
        store=store,
        readiness=readiness_of(store),
        buckets=BucketReadiness(store),
        agent_links=AgentLinks(),
        settings=ChangeWatch(partial(version_of, store), hears_all),
        commands=ChangeWatch(partial(mark, store), hears_all),
        live=LiveHub(),
        metrics=metrics,
        audio=audio,
        intact=IntactObjects(store.objects),
        audit=audit,
        audit_heads=AuditHeads(store, audit_key),
        audit_key=audit_key,
        exports=exports,
        uploads=uploads,
        failed_logins=FailedLogins(store, audit),
        login_throttle=Logins(store),
        logins=ConcurrencyLimit(_LOGINS),
        live_sockets=live_sockets,
        agent_polls=ConcurrencyLimit(_POLLS_OF_A_PBX),
        recording_commands=ConcurrencyLimit(_RECORDING_COMMANDS_OF_AN_ACCOUNT),
        account_queries=ConcurrencyLimit(_QUERIES_OF_AN_ACCOUNT),
        support=SupportDesk(configuration.mail, store),
        retention=RetentionWork(
            store,
            delete=partial(delete_due_apart, configuration.store),
            notify=metrics.count_deleted,
            overdue=metrics.set_overdue,
            clean=exports.prepare,
            quotas=QuotaWatch(store, configuration.mail, metrics.set_quota),
        ),
        object_locks=ObjectLocks(store, unlocked=metrics.set_unlocked),
        disk=StoreDisk(objects, configuration.mail, measured=metrics.set_disk),
    )


def _subscriber(services: Services) -> Subscriber:
    """Return what passes signals on to those who wait for the change."""

    def take(signal: Signal) -> None:
        match signal.kind:
            case SignalKind.CALL | SignalKind.RECORDING:
                services.live.call_changed(signal.of, signal.what, recording_only=signal.kind is SignalKind.RECORDING)
                services.object_locks.look()
            case SignalKind.SESSIONS:
                services.live.check_sessions(signal.of)
            case SignalKind.SETTINGS:
                services.settings.wake()
                services.retention.look()
                services.live.check_sessions()  # users may have been removed
            case SignalKind.COMMANDS:
                services.commands.wake()
            case SignalKind.LINK if signal.what in _LINKS:
                services.agent_links.note(signal.of, PbxLink(signal.what))
            case SignalKind.CLOCK if _SECONDS.fullmatch(signal.what):
                services.agent_links.note_clock(signal.of, float(signal.what))

    def look() -> None:
        services.settings.wake()
        services.retention.look()
        services.object_locks.look()
        services.commands.wake()

    def missed() -> None:
        look()
        services.live.missed()

    return Subscriber(take=take, unheard=look, missed=missed)


def services_of(connection: HTTPConnection) -> Services:
    """Return the services of the application that received a request."""
    services = connection.app.state.services
    assert isinstance(services, Services)
    return services


Shared = Annotated[Services, Depends(services_of)]
