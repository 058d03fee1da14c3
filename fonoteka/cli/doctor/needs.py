"""Tables of what an installation needs of its PBX, and when. A new part of the kit adds its row.

Single lines are read from the kit itself (asterisk_conf), so that a new line there is checked
without a change here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fonoteka.cli.doctor.conf import ConfLine
from fonoteka.core.config import Configuration
from fonoteka.core.domains import DomainSettings, RecordRule

DIALPLAN: Final = "extensions.conf"


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """The parts of the kit that an installation uses, by its configuration and domains."""

    notice_in: frozenset[str]  # names of sounds
    notice_out: frozenset[str]
    beep: bool
    codes: bool
    journal: bool
    away: bool
    known: bool  # whether the API returned the settings

    @classmethod
    def of(cls, configuration: Configuration, settings: DomainSettings | None) -> "Use":
        """Return the use by a configuration and settings."""
        domains = settings.domains if settings is not None else ()
        return cls(
            notice_in=frozenset(domain.notice_in for domain in domains if domain.notice_in),
            notice_out=frozenset(domain.notice_out for domain in domains if domain.notice_out),
            beep=any(domain.beep_every_s for domain in domains),
            codes=bool(configuration.pbx.agi)
            and any(user.record is RecordRule.ON_DEMAND for domain in domains for user in domain.users),
            journal=configuration.pbx.cel_journal is not None,
            away=configuration.pbx.record_when_away,
            known=settings is not None,
        )

    @property
    def notices(self) -> bool:
        """Whether any domain has an announcement."""
        return bool(self.notice_in or self.notice_out)


Needed = Callable[[Use], bool]


def _always(_: Use) -> bool:
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class KitFile:
    """Files of the kit.

    `kit` is a path or a folder in asterisk_conf, `conf` the Asterisk file that includes it.
    `unless` says when the files are not needed; `besides` are lines that `conf` itself must have;
    `unset` are keys that it must not have, as (section, key).
    """

    kit: str
    conf: str
    reload: str
    needed: Needed = _always
    unless: str = ""
    by_settings: bool = False  # whether `needed` depends on the settings of domains
    besides: tuple[ConfLine, ...] = ()
    unset: tuple[tuple[str, str], ...] = ()


FILES: Final = (
    KitFile(
        kit="manager.d",
        conf="manager.conf",
        reload="manager reload",
        besides=(
            ConfLine(section="general", key="enabled", value="yes"),
            ConfLine(section="general", key="bindaddr", value="127.0.0.1"),
            ConfLine(section="general", key="timestampevents", value="yes"),
        ),
    ),
    KitFile(
        kit="extensions.d/fonoteka.conf",
        conf=DIALPLAN,
        reload="dialplan reload",
        needed=lambda use: use.notices,
        unless="no domain has notice_in or notice_out",
        by_settings=True,
    ),
    KitFile(
        kit="extensions.d/fonoteka-away.conf",
        conf=DIALPLAN,
        reload="dialplan reload",
        needed=lambda use: use.away,
        unless="pbx.record_when_away is false",
    ),
    KitFile(
        kit="features.d",
        conf="features.conf",
        reload="module reload features",
        needed=lambda use: use.codes,
        unless="nobody records on demand, or pbx.agi is empty",
        by_settings=True,
    ),
    KitFile(
        kit="cel.conf",
        conf="cel.conf",
        reload="module reload cel",
        unset=(("general", "dateformat"),),  # times are then seconds since 1970
        needed=lambda use: use.journal,
        unless="pbx.cel_journal is not set",
    ),
    KitFile(
        kit="cel_custom.conf",
        conf="cel_custom.conf",
        reload="module reload cel_custom.so",
        needed=lambda use: use.journal,
        unless="pbx.cel_journal is not set",
    ),
)

# Modules of Asterisk, and when they are needed.
MODULES: Final[tuple[tuple[str, Needed], ...]] = (
    ("app_mixmonitor", _always),
    ("format_wav", _always),
    ("app_stack", lambda use: use.notices or use.away),
    ("app_playback", lambda use: use.notices),
    ("func_db", lambda use: use.notices or use.away),
    ("func_strings", lambda use: use.away),
    ("func_cut", lambda use: use.notices),
    ("func_periodic_hook", lambda use: use.beep),
    ("app_chanspy", lambda use: use.beep),
    ("res_agi", lambda use: use.codes),
    ("cel_custom", lambda use: use.journal),
)

# What the operator's dialplan must contain (`,` also stands for `^`), when, and an example line.
CALLS: Final[tuple[tuple[str, Needed, str], ...]] = (
    (
        "fonoteka-notice-in,",
        lambda use: bool(use.notice_in),
        "same => n,Gosub(fonoteka-notice-in,s,1(PJSIP/152)) before Dial of PJSIP/152",
    ),
    (
        "fonoteka-notice-out,",
        lambda use: bool(use.notice_out),
        "same => n,Gosub(fonoteka-notice-out,s,1) before Dial of a number outside",
    ),
    (
        "fonoteka-away,s,1(in)",
        lambda use: use.away,
        "same => n,Dial(PJSIP/152,30,tTb(fonoteka-away^s^1(in)))",
    ),
    (
        "fonoteka-away,s,1(out)",
        lambda use: use.away,
        "same => n,Gosub(fonoteka-away,s,1(out)) before Dial by users",
    ),
    ("${FONOTEKA_DIAL}", lambda use: bool(use.notice_out), "same => n,Dial(PJSIP/${EXTEN}@trunk,60,tT${FONOTEKA_DIAL}), outside"),
)
