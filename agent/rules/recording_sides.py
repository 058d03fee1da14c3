"""How it stands with the recording of everyone who talks now: what the live panel shows, and what may be asked for. Pure.

Where several recorded people share a talk there is one recording of it, and it is the side of each of them. Whoever is not to
be recorded by their setting has no part in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from agent.calls.call_state import Call, Channel, Recording, RecordingStage
from agent.calls.talk_groups import talk_groups
from agent.rules.directory import DomainIndex
from agent.rules.recording_rules import by_setting
from fonoteka.core.call_report import Decision, Reason, RecorderState, Side


@dataclass(frozen=True, kw_only=True, slots=True)
class UserRecordingStatus:
    """One user's side of a `talk` (uniqueids): what their setting says, and the recording that runs in the talk for them.

    `stopped` tells that an administrator stopped what the setting records.
    """

    user: str
    channel: Channel
    talk: frozenset[str]
    setting: Decision
    recording: Recording | None
    stopped: bool

    @property
    def on_demand(self) -> bool:
        """Whether this side is recorded only when somebody asks for it."""
        return self.setting.reason is Reason.ON_DEMAND_NOT_ASKED

    @property
    def may_start(self) -> bool:
        """Whether a recording may be asked for."""
        return self.recording is None and (self.on_demand or self.stopped)

    @property
    def may_stop(self) -> bool:
        """Whether the user may stop it: what was asked for; not what a setting records, their own or a colleague's."""
        return self.on_demand and self.recording is not None and self.recording.asked

    def told(self) -> Side:
        """As the store is told."""
        state, reason = RecorderState.OFF, self.setting.reason
        if self.stopped:
            reason = Reason.STOPPED_BY_USER
        if self.recording is not None:
            state, reason = RecorderState.PAUSED if self.recording.paused else RecorderState.ON, None
        return Side(user=self.user, recorder=state, reason=reason, may_start=self.may_start, may_stop=self.may_stop)


def recording_statuses(call: Call, domain: DomainIndex) -> Iterator[UserRecordingStatus]:
    """The side of each user who talks now, and of each on whose behalf a talk of others is or might be recorded."""
    seen = set()
    for talk in talk_groups(call):
        for channel in call.channels.values():
            stand = _stand(call, domain, channel, talk) if channel.uniqueid in talk and not channel.is_local else None
            if stand is not None and stand.user not in seen:
                seen.add(stand.user)
                yield stand


def _stand(call: Call, domain: DomainIndex, channel: Channel, talk: frozenset[str]) -> UserRecordingStatus | None:
    user = domain.user(channel)
    # A recording that came with a channel picked up from somebody else says nothing of who has it now.
    decided = [
        known for known in call.recordings if known.uniqueid == channel.uniqueid and (user is None or known.user == user.login)
    ]
    by_rule = next((known for known in decided if not known.asked and known.reason is not Reason.STOPPED_BY_USER), None)
    if by_rule is not None:
        login, setting = by_rule.user, by_rule.decision
    elif user is not None:
        login, setting = user.login, by_setting(call, channel, user, domain)
    else:
        return None
    if not login:
        return None  # an outside party that was rung on nobody's behalf
    running = (known for known in call.recordings if known.uniqueid in talk and known.stage is RecordingStage.RUNNING)
    has_part = setting.record or setting.reason is Reason.ON_DEMAND_NOT_ASKED
    recording = next(running, None) if has_part else None
    stopped = setting.record and recording is None and any(known.reason is Reason.STOPPED_BY_USER for known in decided)
    return UserRecordingStatus(user=login, channel=channel, talk=talk, setting=setting, recording=recording, stopped=stopped)
