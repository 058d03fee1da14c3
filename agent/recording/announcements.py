"""The announcement of a recording («разговор записывается»), as keys of AstDB for the dialplan.

    fonoteka/notice_in/PJSIP/acme-152  = the sound for a caller, before 152 is rung
    fonoteka/notice_out/PJSIP/acme-152 = the sound for a party that 152 calls, before the talk

The dialplan (asterisk_conf/extensions.d/fonoteka.conf) reads these keys: it starts no process for a
call, and announcements work while the agent is down.
"""

from collections.abc import Iterator
from typing import Final

from agent.rules.recording_rules import decide
from fonoteka.core.call_report import Direction
from fonoteka.core.domains import Domain, DomainSettings

TREES: Final = ("notice_in", "notice_out")


def announcement_keys(settings: DomainSettings) -> dict[str, str]:
    """Return AstDB keys below `fonoteka` with their sounds, for users recorded by their setting.

    A user recorded on demand has no key: while the call rings, no request can be known.
    """
    return dict(pair for domain in settings.domains for pair in _keys_of(domain))


def _keys_of(domain: Domain) -> Iterator[tuple[str, str]]:
    sounds = ((domain.notice_in, "notice_in", Direction.IN), (domain.notice_out, "notice_out", Direction.OUT))
    for user in domain.users:
        for sound, tree, direction in sounds:
            if sound is not None and decide(user, direction, called=direction is Direction.IN).record:
                yield from ((f"{tree}/{endpoint}", sound) for endpoint in user.endpoints)
