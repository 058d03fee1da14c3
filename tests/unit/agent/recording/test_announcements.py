"""Which users get an announcement, and the mirror into AstDB: it writes only differences."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from agent.recording.announcements import TREES, announcement_keys
from agent.recording.astdb_mirror import AstDbMirror
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


KEYS = [
    (RecordRule.ALL, {"notice_in/PJSIP/a": "in", "notice_in/SIP/a": "in", "notice_out/PJSIP/a": "out", "notice_out/SIP/a": "out"}),
    (RecordRule.IN, {"notice_in/PJSIP/a": "in", "notice_in/SIP/a": "in"}),
    (RecordRule.OUT, {"notice_out/PJSIP/a": "out", "notice_out/SIP/a": "out"}),
    (RecordRule.OFF, {}),
    (RecordRule.ON_DEMAND, {}),
]


@pytest.mark.parametrize(("rule", "keys"), KEYS)
def test_a_user_recorded_in_a_direction_gets_its_announcement(rule: RecordRule, keys: dict[str, str]) -> None:
    assert announcement_keys(settings(notice_out="out", a=rule)) == keys
    assert announcement_keys(settings(notice_in=None, a=rule)) == {}


class AstDb:
    """Asterisk's database; the real one is tested in tests/pbx/test_notice.py."""

    def __init__(self, **there: str) -> None:
        self.there = there
        self.writes: list[tuple[str, str]] = []
        self.down = False
        self.refused = asyncio.Event()

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
            self.refused.set()
            raise AmiUnreachable("away")
        prefix = f"/{headers['Family']}/{headers['Key']}/"
        return [{"Key": key, "Val": value} for key, value in self.there.items() if key.startswith(prefix)]


class Running:
    """A mirror that runs during a test."""

    def __init__(self, db: AstDb) -> None:
        self.db, self.mirror = db, AstDbMirror(db, TREES, announcement_keys)

    async def __aenter__(self) -> AstDbMirror:
        self._task = asyncio.create_task(self.mirror.run())
        return self.mirror

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


async def mirrored(db: AstDb, keys: dict[str, str]) -> None:
    async with asyncio.timeout(60):
        while db.there != keys:
            await asyncio.sleep(0.01)


OTHERS = {"/fonoteka/ask/PJSIP/a": "1", "/CF/152": "8800"}


async def test_the_mirror_writes_what_differs_and_removes_what_is_stale() -> None:
    stale = {"/fonoteka/notice_in/PJSIP/gone": "in", "/fonoteka/notice_out/PJSIP/a": "out", "/fonoteka/notice_in/SIP/a": "in"}
    db = AstDb(**stale, **OTHERS)
    async with Running(db) as mirror:
        mirror.settings_changed(settings(a=RecordRule.ALL))
        await mirrored(db, {**OTHERS, "/fonoteka/notice_in/PJSIP/a": "in", "/fonoteka/notice_in/SIP/a": "in"})
        assert sorted(db.writes) == [
            ("DBDel", "/fonoteka/notice_in/PJSIP/gone"),
            ("DBDel", "/fonoteka/notice_out/PJSIP/a"),
            ("DBPut", "/fonoteka/notice_in/PJSIP/a"),
        ]


async def test_lost_keys_are_written_again() -> None:
    db = AstDb()
    async with Running(db) as mirror:
        mirror.settings_changed(settings(a=RecordRule.IN))
        await mirrored(db, {"/fonoteka/notice_in/PJSIP/a": "in", "/fonoteka/notice_in/SIP/a": "in"})
        db.there.clear()
        mirror.link_up()
        await mirrored(db, {"/fonoteka/notice_in/PJSIP/a": "in", "/fonoteka/notice_in/SIP/a": "in"})


async def test_without_settings_nothing_changes() -> None:
    kept = {"/fonoteka/notice_in/PJSIP/a": "in"}
    db = AstDb(**kept)
    mirror = AstDbMirror(db, TREES, announcement_keys)
    mirror.settings_changed(DomainSettings(version=0))
    await mirror.mirror()
    assert (db.there, db.writes) == (kept, [])


async def test_a_lost_connection_is_retried() -> None:
    db = AstDb()
    db.down = True
    async with Running(db) as mirror:
        mirror.settings_changed(settings(a=RecordRule.IN))
        await asyncio.wait_for(db.refused.wait(), 60)
        db.down = False
        await mirrored(db, {"/fonoteka/notice_in/PJSIP/a": "in", "/fonoteka/notice_in/SIP/a": "in"})
