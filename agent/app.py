"""The agent of one PBX: the main loop and the wiring of its parts.

AMI ─▶ read_event ─▶ RecordingCoordinator: CallRegistry (fold) ─▶ plan ─▶ effects:
           MixMonitor, RecordingLifecycle ─▶ spool          mixed/ ─▶ RecordingShipper
           CallSettlement (report, journal) ─▶ CallShipper
"""

import asyncio
import gc
from collections.abc import Coroutine
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

import structlog

from agent.ami.client import AmiClient, AmiEvent, Garbled, LinkDown, LinkUp
from agent.ami.tls import tls_context
from agent.calls.call_registry import CallRegistry
from agent.calls.channel_snapshot import LAYOUTS as LISTED
from agent.calls.channel_snapshot import Listed
from agent.calls.clock_follower import ClockFollower
from agent.calls.event_reader import LAYOUTS, WANTED, read_event
from agent.calls.resync import Resync
from agent.calls.unseen_end import UnseenEnd
from agent.cel.gap import GapFolder
from agent.cel.heard import HeardUntil
from agent.cel.journal import CelJournal
from agent.monitoring import metrics
from agent.monitoring.spool_check import spool_problem
from agent.recording import away
from agent.recording.announcements import TREES, announcement_keys
from agent.recording.astdb_mirror import AstDbMirror
from agent.recording.away_files import AwayFiles
from agent.recording.coordinator import RecordingCoordinator
from agent.recording.feature_codes import FeatureCodes
from agent.recording.leg_watch import LegWatch
from agent.recording.lifecycle import RecordingLifecycle
from agent.recording.mixmonitor import MixMonitor
from agent.recording.on_demand import OnDemandRequests
from agent.recording.pbx_claim import PbxClaim
from agent.recording.rtp_restart import RtpRestarts
from agent.recording.wideband import CodecCheck
from agent.reporting.journal import Journal
from agent.reporting.settlement import CallSettlement
from agent.rules.directory import Directory
from agent.shipping import command_poll as commands
from agent.shipping import settings_sync as settings
from agent.shipping.api_address import api_address_problem
from agent.shipping.api_client import ApiClient
from agent.shipping.call_shipper import CallShipper
from agent.shipping.recording_shipper import RecordingShipper
from agent.shipping.refused_calls import RefusedCalls
from agent.standby import Standby
from fonoteka.core import disk_watch
from fonoteka.core.agent_protocol import Command, CommandOutcome, PbxLink
from fonoteka.core.background_tasks import again_and_again
from fonoteka.core.config import Configuration, require_secret, split_address
from fonoteka.core.domains import DomainSettings
from fonoteka.core.errors import AmiError, AmiUnreachable, ConfigurationError, SpoolTaken
from fonoteka.core.spool import Spool, inherited_lock
from fonoteka.core.spool_lock import SpoolLock

CHECK_SPOOL_EVERY_S: Final = 60.0
ADOPT_EVERY_S: Final = 60.0
LINK_DOWN_AFTER_S: Final = 60.0  # a restart of Asterisk takes less
LOOK_AT_LOCK_EVERY_S: Final = 0.5
TOUCH_LINK_FILE_EVERY_S: Final = 10.0
LOG_IN_AGAIN: Final = "another agent was waited for: log in again, and compare the calls as they are now"
_log = structlog.get_logger()


class Agent:
    """The agent of one PBX. `run()` is active until cancelled."""

    def __init__(self, configuration: Configuration, source: Path | None, lock: SpoolLock | None = None) -> None:
        if (problem := api_address_problem(configuration.agent)) is not None:
            raise ConfigurationError(f"{source or 'environment'}: {problem}")
        pbx, self._lock = configuration.pbx, lock
        self._trunks = frozenset(pbx.trunks)
        self._spool = Spool(pbx.spool.absolute())
        self._spool.prepare()
        secret = require_secret(pbx.ami_secret, "pbx.ami_secret", source)
        self._ami_address = split_address(pbx.ami)
        layouts, tls = {**LAYOUTS, **LISTED}, tls_context(pbx, source)
        self._ami = AmiClient(
            self._ami_address, pbx.ami_user, secret, events=WANTED, layouts=layouts, tls=tls, may_act=self._has_spool
        )
        self._api = ApiClient(configuration.agent.api, require_secret(configuration.agent.token, "agent.token", source))
        self._claim = PbxClaim(self._ami, self._spool, pbx.ami)
        self._spool_in_asterisk = PurePosixPath(pbx.spool_in_asterisk or self._spool.root)
        self._record_when_away = pbx.record_when_away
        self._astdb = AstDbMirror(self._ami, (*TREES, *away.TREES), self._astdb_keys)
        self._heartbeat = away.Heartbeat(self._ami)
        self._away = AwayFiles(self._spool, self._heartbeat if pbx.record_when_away else None)
        if pbx.record_when_away:
            self._away.prepare()
        self._legs, floor_bytes = LegWatch(), pbx.least_free_mb * 10**6
        codecs = CodecCheck(self._ami)
        self._lifecycle = RecordingLifecycle(self._spool, self._legs, codecs, floor_bytes=floor_bytes, lock=lock)
        journal = Journal(self._spool.calls, self._has_spool)
        self._registry = CallRegistry(in_journal=journal.call, is_user=lambda channel: self._coordinator.directory.is_user(channel))
        self._settling = CallSettlement(self._registry, journal, pbx.name)
        self._coordinator = RecordingCoordinator(
            self._registry,
            self._settling,
            MixMonitor(self._ami, self._spool_in_asterisk),
            self._lifecycle,
            codecs,
            RtpRestarts(self._ami),
            self._away,
            self._spawn_of_call,
        )
        self._link_file = self._spool.root / "heard"  # its mtime: when Asterisk was last connected
        self._unseen_end = UnseenEnd(self._ami, self._lifecycle.last_written, self._link_file)
        self._resync = Resync(self._ami, self._registry, self._coordinator.take, self._unseen_end.of)
        self._call_shipper = CallShipper(self._api, RefusedCalls(self._spool.refused), self._settling.acknowledged)
        self._recording_shipper = RecordingShipper(self._api, self._spool, self._coordinator.shipped, self._coordinator.rejected)
        self._disk = disk_watch.of_spool(pbx)
        self._mail = configuration.mail
        self._clock = ClockFollower(self._ami, self._registry, self._clock_jumped, self._settling.changed)
        self._heard = HeardUntil(self._spool.root / "heard_until", self._link_file)
        self._heard_at, self._caught_up = self._heard.read(), False
        self._settling.restore(self._heard_at)
        self._settling.journalled, self._settling.taken_up = self._heard.write, self._coordinator.take_up
        cel = CelJournal(path=pbx.cel_journal) if pbx.cel_journal is not None else None
        self._gaps = GapFolder(cel, self._spool.root / "gaps.json", self._registry, self._coordinator, self._settling)
        self._settings_copy = self._spool.root / "settings.json"
        copy = settings.read_copy(self._settings_copy) or DomainSettings(version=0)
        self._coordinator.directory = self._use(copy)
        self._requests = OnDemandRequests(self._registry, self._coordinator)
        self._feature_codes = FeatureCodes(pbx.agi, self._ami, self._requests)
        self._tasks: asyncio.TaskGroup
        self._alone = False  # whether this agent has the claim on Asterisk
        self._records = False  # whether the parts that change something in Asterisk run
        self._takes_commands = asyncio.Event()

    async def run(self) -> None:
        """Run all parts until cancelled.

        Raises AmiRefused if Asterisk refuses the first login, PbxTaken if another agent records,
        SpoolTaken if another agent of the spool has taken over.
        """
        metrics.AMI_SILENT.set_function(lambda: float(self._resync.silent))
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._spawn(self._watch_lock())
                self._spawn(self._ami.run())
                self._spawn(self._legs.run())
                self._spawn(again_and_again("settings", self._follow_settings))
                self._spawn(again_and_again("call shipper", self._call_shipper.run))
                self._spawn(again_and_again("recording shipper", self._recording_shipper.run))
                self._spawn(again_and_again("settling", partial(self._settling.run, self._call_shipper)))
                self._spawn(again_and_again("spool metrics", partial(metrics.follow_spool, self._spool)))
                self._spawn(again_and_again("disk watch", partial(disk_watch.follow, self._disk, self._mail, metrics.set_disk)))
                self._spawn(again_and_again("spool check", self._check_spool))
                self._spawn(again_and_again("gaps", self._gaps.run))
                self._spawn(again_and_again("link file", self._touch_link_file))
                self._spawn(again_and_again("commands", self._follow_commands))
                self._spawn(again_and_again("away", self._follow_away))
                self._coordinator.resume()
                try:
                    await self._follow()
                finally:
                    if self._claim.held and self._ami.connected:  # while the tasks above still run
                        if self._record_when_away:
                            await self._heartbeat.stop()
                        await self._settling.write_changed()  # a standby reads the journal after the release
                        await self._claim.release()
        finally:
            await self._settling.close()
            self._legs.close()
            await self._api.close()

    def _record(self) -> None:
        """Run what changes something in Asterisk, once this agent has the claim on it."""
        self._takes_commands.set()
        if self._records:
            return
        self._records = True
        self._spawn(self._claim.run())
        self._spawn(again_and_again("astdb", self._astdb.run))
        self._spawn(again_and_again("resync", self._resync.run))
        self._spawn(again_and_again("feature codes", self._feature_codes.run))
        if self._record_when_away:
            self._spawn(again_and_again("heartbeat", self._beat))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(work)

    def _spawn_of_call(self, work: Coroutine[Any, Any, None]) -> None:
        self._spawn(_logged(work))

    async def _follow(self) -> None:
        """Take the events of Asterisk in order; nothing here waits for anything else.

        Raises PbxTaken, SpoolTaken.
        """
        while True:
            match await self._ami.next():
                case AmiEvent() as message if self._alone:
                    self._check_lock()
                    if self._claim.doubtful:
                        await self._claim.check()
                    self._resync.silent = False
                    event = read_event(message.name, message.headers, message.received_at)
                    if event is not None:
                        self._clock.follow((message.received_at - event.at).total_seconds())
                        metrics.observe_event(event.at)
                        self._coordinator.take(event)
                        self._note_heard(event.at)
                case LinkUp(at=at):
                    self._alone = await self._is_alone()
                    if not self._alone:  # the comparison after the next login has what is dropped until then
                        self._ami.renew(LOG_IN_AGAIN)
                        continue
                    self._record()
                    _log.info("ami.up")
                    metrics.AMI_CONNECTED.set(1)
                    self._astdb.link_up()
                    self._clock.follow(await self._clock.lag_s())
                    if self._record_when_away:
                        await self._heartbeat.beat()  # from now on the dialplan starts no recorder
                    self._coordinator.adopt_all()
                    self._caught_up = False
                    await self._unseen_end.link_up()
                    await self._resync.after_login(partial(self._catch_up, at))
                    self._unseen_end.compared()
                    self._coordinator.link_up()
                case Garbled():
                    metrics.GARBLED.inc()
                    self._resync.request()
                case LinkDown(reason=reason, closed=closed):
                    _log.warning("ami.down", reason=reason)
                    metrics.AMI_CONNECTED.set(0)
                    self._unseen_end.link_down(closed=closed)
                    self._takes_commands.set()

    def _has_spool(self) -> bool:
        return self._lock is None or self._lock.is_held()

    def _check_lock(self) -> None:
        if self._lock is not None:
            self._lock.check()

    async def _watch_lock(self) -> None:
        """Watch whether a standby takes over. Raises SpoolTaken."""
        while True:
            await asyncio.sleep(LOOK_AT_LOCK_EVERY_S)
            self._check_lock()

    async def _is_alone(self) -> bool:
        """Take the claim on this Asterisk. Returns False if the agent must log in again.

        Without a right to AstDB nothing is known of other agents. Raises PbxTaken.
        """
        try:
            return await self._claim.take()
        except AmiUnreachable:
            return False
        except AmiError as error:
            _log.error("claim.not_taken", reason=str(error))
            return True

    def _clock_jumped(self, by_s: float) -> None:
        """Prepare for a jump of the wall clock, by which the calls move."""
        self._heartbeat.doubt()
        if by_s < 0 and self._heard_at is not None:  # a gap must not begin in the future
            self._heard_at += timedelta(seconds=by_s)

    async def _catch_up(self, at: datetime, listed: list[Listed]) -> None:
        """Fold what happened between the last event and this login."""
        await self._gaps.go_on(self._heard_at, at, listed)
        self._caught_up = True
        self._note_heard(at)
        self._settling.note_heard()

    def _note_heard(self, at: datetime) -> None:
        """Note the last event, unless something before it is still to be folded."""
        if self._caught_up:
            self._heard_at = self._settling.heard_at = at

    async def _follow_settings(self) -> None:
        await settings.follow(
            self._api, self._settings_copy, lambda: self._coordinator.directory.settings.version, self._settings_changed
        )

    async def _follow_commands(self) -> None:
        await self._takes_commands.wait()  # another agent may have the claim, and the calls
        await commands.follow(self._api, self._handle_command, self._spawn, self._link, self._clock.now_s)

    def _link(self) -> PbxLink:
        if self._resync.silent:
            return PbxLink.SILENT
        return PbxLink.DOWN if self._ami.down_for_s > LINK_DOWN_AFTER_S else PbxLink.UP

    async def _handle_command(self, command: Command) -> CommandOutcome:
        refusal = await self._requests.by_command(command.linkedid, command.action, command.login, command.domain)
        call = self._registry.call(command.linkedid)
        return CommandOutcome(refusal=refusal, report=self._settling.report(call, command.domain) if call is not None else None)

    def _settings_changed(self, changed: DomainSettings) -> None:
        self._coordinator.directory_changed(self._use(changed))
        self._gaps.settings_changed()

    def _use(self, changed: DomainSettings) -> Directory:
        directory = Directory(settings=changed, trunks=self._trunks)
        self._settling.directory_changed(directory)
        self._astdb.settings_changed(changed)
        return directory

    def _astdb_keys(self, settings: DomainSettings) -> dict[str, str]:
        to_record = away.away_keys(settings, self._spool_in_asterisk) if self._record_when_away else {}
        return announcement_keys(settings) | to_record

    async def _beat(self) -> None:
        """Show the dialplan that the agent records."""
        while True:
            if self._ami.connected:
                was_fresh = self._heartbeat.fresh
                await self._heartbeat.beat()
                if not was_fresh:  # this process stood still, or Asterisk did not answer
                    self._coordinator.adopt_all()
            await asyncio.sleep(away.HEARTBEAT_EVERY_S)

    async def _follow_away(self) -> None:
        """Join the dialplan's recordings to calls that are known by now; log those that wait."""
        while True:
            await asyncio.sleep(ADOPT_EVERY_S)
            self._coordinator.adopt_all()
            self._away.log_waiting()

    async def _touch_link_file(self) -> None:
        """Touch the link file, so that the next run knows since when events were missed."""
        while True:
            if self._ami.connected:
                self._link_file.touch()
                self._settling.note_heard()
            await asyncio.sleep(TOUCH_LINK_FILE_EVERY_S)

    async def _check_spool(self) -> None:
        """Check every minute that Asterisk sees the same spool; log a problem once."""
        reported: str | None = ""
        while True:
            trouble = await asyncio.to_thread(spool_problem, self._ami_address, self._spool.root, self._spool_in_asterisk)
            if trouble is not None and trouble != reported:
                _log.error("spool.not_shared", reason=trouble)
            reported = trouble
            await asyncio.sleep(CHECK_SPOOL_EVERY_S)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    """Run a task of one call; an error in it is logged, and does not end the agent."""
    try:
        await work
    except SpoolTaken:  # the watch of the lock ends this agent
        pass
    except Exception:
        metrics.ERRORS.inc()
        _log.exception("task.failed", task=getattr(work, "__qualname__", ""))


async def run(configuration: Configuration, source: Path | None) -> None:
    """Run the agent until cancelled. `source` is the configuration file, named in errors."""
    if configuration.agent.metrics is not None:
        metrics.serve(split_address(configuration.agent.metrics))
    # Imported modules stay: scanning them repeatedly took 4 % of a busy agent's time.
    gc.freeze()
    gc.set_threshold(10_000)
    if not configuration.agent.standby:
        with Spool(configuration.pbx.spool).alone(inherited_lock()) as lock:
            await Agent(configuration, source, lock).run()
    while configuration.agent.standby:
        await _work_in_turn(configuration, source)


async def _work_in_turn(configuration: Configuration, source: Path | None) -> None:
    """Wait for the turn of this agent, and work until another agent of the spool takes over."""
    with closing(await Standby(configuration, source).turn()) as lock:
        try:
            await Agent(configuration, source, lock).run()
        except* SpoolTaken as taken:
            _log.warning("standby.replaced", reason=str(taken.exceptions[0]))
