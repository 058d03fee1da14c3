"""Who gets a notice, and how AstDB is brought to it: only differences are written, nothing of others is touched."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from agent.recording.announcements import AnnouncementMirror, wanted
from fonoteka.core.domains import Domain, DomainSettings, RecordRule, User
from fonoteka.core.errors import AmiActionFailed, AmiUnreachable


def settings(
    version: int = 1, *, notice_in: str | None = "in", notice_out: str | None = None, **rules: RecordRule
) -> DomainSettings:
    users = tuple(
        User(login=login, name=login, extension=login, endpoints=(f"PJSIP/{login}", f"SIP/{login}"), record=rule)
        for login, rule in rules.items()
    )
    domain = Domain(name="acme", country="RU", area_codes=(), users=users, numbers=(), notice_in=notice_in, notice_out=notice_out)
    return DomainSettings(version=version, domains=(domain,))


WANTED = [
    (RecordRule.ALL, {"notice_in/PJSIP/a": "in", "notice_in/SIP/a": "in", "notice_out/PJSIP/a": "out", "notice_out/SIP/a": "out"}),
    (RecordRule.IN, {"notice_in/PJSIP/a": "in", "notice_in/SIP/a": "in"}),
    (RecordRule.OUT, {"notice_out/PJSIP/a": "out", "notice_out/SIP/a": "out"}),
    (RecordRule.OFF, {}),
    (RecordRule.ON_DEMAND, {}),
]


@pytest.mark.parametrize(("rule", "keys"), WANTED)
def test_only_who_is_recorded_in_that_direction_gets_a_notice(rule: RecordRule, keys: dict[str, str]) -> None:
    assert wanted(settings(notice_out="out", a=rule)) == keys
    assert wanted(settings(notice_in=None, a=rule)) == {}


class AstDb:
    """Asterisk's side of it; the real one is tried in tests/pbx/test_notice.py."""

    def __init__(self, **there: str) -> None:
        self.there = there
        self.writes: list[tuple[str, str]] = []
        self.down = False

    async def action(self, name: str, /, timeout_s: float = 5, **headers: str) -> Mapping[str, str]:
        key = f"/{headers['Family']}/{headers['Key']}"
        self.writes.append((name, key))
        if name == "DBPut":
            self.there[key] = headers["Val"]
        elif self.there.pop(key, None) is None:
            raise AmiActionFailed("DBDel: no such key")
        return {}

    async def listing(self, name: str, /, timeout_s: float = 10, **headers: str) -> list[Any]:
        if self.down:
            raise AmiUnreachable("away")
        prefix = f"/{headers['Family']}/{headers['Key']}/"
        return [{"Key": key, "Val": value} for key, value in self.there.items() if key.startswith(prefix)]


class Running:
    """A mirror at work beside a test."""

    def __init__(self, db: AstDb) -> None:
        self.db, self.notices = db, AnnouncementMirror(db)

    async def __aenter__(self) -> AnnouncementMirror:
        self._task = asyncio.create_task(self.notices.run())
        return self.notices

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


async def settled(db: AstDb, keys: dict[str, str]) -> None:
    async with asyncio.timeout(5):
        while db.there != keys:
            await asyncio.sleep(0.01)


OTHERS = {"/fonoteka/ask/PJSIP/a": "1", "/CF/152": "8800"}


async def test_the_mirror_writes_what_differs_and_removes_what_is_stale() -> None:
    stale = {"/fonoteka/notice_in/PJSIP/gone": "in", "/fonoteka/notice_out/PJSIP/a": "out", "/fonoteka/notice_in/SIP/a": "in"}
    db = AstDb(**stale, **OTHERS)
    async with Running(db) as notices:
        notices.settings_changed(settings(a=RecordRule.ALL))
        await settled(db, {**OTHERS, "/fonoteka/notice_in/PJSIP/a": "in", "/fonoteka/notice_in/SIP/a": "in"})
        assert sorted(db.writes) == [
            ("DBDel", "/fonoteka/notice_in/PJSIP/gone"),
            ("DBDel", "/fonoteka/notice_out/PJSIP/a"),
            ("DBPut", "/fonoteka/notice_in/PJSIP/a"),
        ]


async def test_what_asterisk_has_lost_is_written_anew() -> None:
    db = AstDb()
    async with Running(db) as notices:
        notices.settings_changed(settings(a=RecordRule.IN))
        await settled(db, {"/fonoteka/notice_in/PJSIP/a": "in", "/fonoteka/notice_in/SIP/a": "in"})
        db.there.clear()
        notices.link_up()
        await settled(db, {"/fonoteka/notice_in/PJSIP/a": "in", "/fonoteka/notice_in/SIP/a": "in"})


async def test_settings_that_are_not_known_yet_change_nothing() -> None:
    kept = {"/fonoteka/notice_in/PJSIP/a": "in"}
    db = AstDb(**kept)
    async with Running(db) as notices:
        notices.settings_changed(DomainSettings(version=0))
        notices.link_up()
        await asyncio.sleep(0.05)
        assert (db.there, db.writes) == (kept, [])


async def test_a_link_that_is_down_is_tried_again() -> None:
    db = AstDb()
    db.down = True
    async with Running(db) as notices:
        notices.settings_changed(settings(a=RecordRule.IN))
        await asyncio.sleep(0.05)
        db.down = False
        await settled(db, {"/fonoteka/notice_in/PJSIP/a": "in", "/fonoteka/notice_in/SIP/a": "in"})
