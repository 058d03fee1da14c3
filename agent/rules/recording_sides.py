"""The recording status of each user in a talk: what the live panel shows and what may be requested.

Pure. Where several recorded users share a talk, there is one recording of it, and it counts for
each of them. A user whose setting refuses recording has no part in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from agent.calls.call_state import Call, Channel, Recording, RecordingStage
from agent.calls.talk_groups import talk_groups
from agent.rules.directory import DomainIndex
from agent.rules.recording_rules import by_setting, recorded_channel
from fonoteka.core.call_report import Decision, Reason, RecorderState, UserRecordingStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingSide:
    """The side of one user in a `talk` (uniqueids).

    `channel` is the channel on which it is recorded, which `hears_user` if it is another party's.
    `setting` is the decision by the user's setting, `recording` the recording of the talk that
    counts for the user. `stopped` means that an administrator stopped what the setting records.
    """

    user: str
    channel: Channel
    hears_user: bool
    talk: frozenset[str]
    setting: Decision
    recording: Recording | None
    stopped: bool

    @property
    def on_demand(self) -> bool:
        """Whether this side is recorded only on request."""
        return self.setting.reason is Reason.ON_DEMAND_NOT_ASKED

    @property
    def may_start(self) -> bool:
        """Whether a recording may be requested."""
        return self.recording is None and (self.on_demand or self.stopped)

    @property
    def may_stop(self) -> bool:
        """Whether the user may stop the recording.

        Only a requested recording may be stopped, not one that follows the setting of the user or
        of a colleague.
        """
        return self.on_demand and self.recording is not None and self.recording.asked

    def status(self) -> UserRecordingStatus:
        """Return the status as the call's report shows it."""
        state, reason = RecorderState.OFF, self.setting.reason
        if self.stopped:
            reason = Reason.STOPPED_BY_USER
        if self.recording is not None:
            state, reason = RecorderState.PAUSED if self.recording.paused else RecorderState.ON, None
        return UserRecordingStatus(user=self.user, recorder=state, reason=reason, may_start=self.may_start, may_stop=self.may_stop)


def recording_sides(call: Call, domain: DomainIndex) -> Iterator[RecordingSide]:
    """Return the status of each user that talks now, or on whose behalf a talk may be recorded."""
    seen = set()
    for talk in talk_groups(call):
        for channel in call.channels.values():
            if channel.uniqueid not in talk or channel.is_local:
                continue
            status = _status(call, domain, channel, talk)
            if status is not None and status.user not in seen:
                seen.add(status.user)
                yield status


def _status(call: Call, domain: DomainIndex, channel: Channel, talk: frozenset[str]) -> RecordingSide | None:
    user = domain.user(channel)
    recorded = recorded_channel(call, domain, channel, talk)
    if recorded is None:
        return None
    hears_user = recorded is not channel
    # After a pickup, a recording of the user whose telephone rang says nothing about this user.
    decided = [
        recording
        for recording in call.recordings
        if (recording.uniqueid, recording.hears_user) == (recorded.uniqueid, hears_user)
        and (user is None or recording.user == user.login)
    ]
    by_rule = next(
        (recording for recording in decided if not recording.asked and recording.reason is not Reason.STOPPED_BY_USER), None
    )
    if by_rule is not None:
        login, setting = by_rule.user, by_rule.decision
    elif user is not None:
        login, setting = user.login, by_setting(call, channel, user, domain)
    else:
        return None
    if not login:
        return None  # an outside party that was rung on behalf of no user
    has_part = setting.record or setting.reason is Reason.ON_DEMAND_NOT_ASKED
    running = next((recording for recording in _running(call) if recording.uniqueid in talk), None)
    running = running if has_part else None
    stopped = any(recording.reason is Reason.STOPPED_BY_USER for recording in decided)
    return RecordingSide(
        user=login,
        channel=recorded,
        hears_user=hears_user,
        talk=talk,
        setting=setting,
        recording=running,
        stopped=setting.record and running is None and stopped,
    )


def _running(call: Call) -> Iterator[Recording]:
    return (recording for recording in call.recordings if recording.stage is RecordingStage.RUNNING)
