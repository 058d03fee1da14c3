"""`fonoteka apply`: no change without a difference, and one line for a wrong file."""

from pathlib import Path

import pytest

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError
from store.audit.write import Actor
from store.database.store import Store
from store.people.accounts import account_of, change_password, ensure_pbx, log_in, pbx_of, set_password
from store.provisioning.apply import Change, apply, difference
from store.provisioning.directory import domain_settings, version_of
from store.provisioning.directory_file import parse_directory, parse_directory_file
from tests.data.seed import DIRECTORY
from tests.store.test_intake import NOW

HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQxMjM0NQ$Yc0g9cmWvqZGZz0bBjEuAQ"
SMALL = """
[[domain]]
name = "acme"
title = "Акме"
timezone = "Asia/Krasnoyarsk"
  [[domain.user]]
  login = "152"
  name = "Петров"
  extension = "152"
  endpoints = ["PJSIP/acme-152"]
  password = "secret one"
  [[domain.user]]
  login = "421"
  name = "Солдатов"
  extension = "421"
  [[domain.number]]
  number = "2458888"
[[domain]]
name = "other"
title = "Другой"
timezone = "Europe/Moscow"
  [[domain.user]]
  login = "152"
  name = "Чужой"
"""


async def applied(store: Store, text: str, *, prune: bool = False) -> list[str]:
    return [str(change) for change in await apply(store, parse_directory(text, source="company.toml"), prune=prune)]


async def test_the_same_file_twice_changes_nothing(store: Store) -> None:
    assert await applied(store, DIRECTORY) != []
    version = await version_of(store)
    assert await applied(store, DIRECTORY) == []
    assert await version_of(store) == version


DIFFS = [
    ('name = "Петров"', 'name = "Петрова"', ["~ user acme/152: name Петров → Петрова"]),
    ('endpoints = ["PJSIP/acme-152"]', "", ["~ user acme/152: endpoints PJSIP/acme-152 → none"]),
    ('password = "secret one"', 'password = "secret two"', []),  # the user's own by now
    ('password = "secret one"', "", []),
    ('extension = "421"', 'extension = "421"\n  password = "secret two"', ["~ user acme/421: password set"]),
    ('timezone = "Europe/Moscow"', 'timezone = "Asia/Omsk"', ["~ domain other: timezone Europe/Moscow → Asia/Omsk"]),
    ('number = "2458888"', 'number = "2458889"', ["+ number acme/2458889", "- number acme/2458888"]),
    (
        'name = "other"',
        'name = "other"\nnotice_in = "x/y"\nbeep_every_s = 15',
        ["~ domain other: notice_in None → x/y, beep_every_s 0 → 15"],
    ),
    ('login = "421"', 'login = "422"', ["+ user acme/422", "- user acme/421"]),
    ('name = "other"', 'name = "another"', ["+ domain another", "+ user another/152", "- domain other"]),
]


@pytest.mark.parametrize(("old", "new", "lines"), DIFFS)
async def test_only_what_differs_is_changed(store: Store, old: str, new: str, lines: list[str]) -> None:
    await applied(store, SMALL)
    assert SMALL.count(old) == 1
    assert await applied(store, SMALL.replace(old, new), prune=True) == lines
    assert await applied(store, SMALL.replace(old, new), prune=True) == []


async def test_without_prune_nothing_is_removed(store: Store) -> None:
    await applied(store, SMALL)
    assert await applied(store, SMALL[: SMALL.index('[[domain]]\nname = "other"')]) == []
    await ensure_pbx(store, "pbx1", "token")
    pbx = await pbx_of(store, "token")
    assert pbx is not None
    assert [domain.name for domain in (await domain_settings(store, pbx)).domains] == ["acme", "other"]


async def test_a_removed_name_that_is_given_again_is_another_row(store: Store) -> None:
    await applied(store, SMALL)
    token, account = await log_in(store, "acme", "152", "secret one", NOW) or pytest.fail("cannot log in")
    assert await applied(store, "", prune=True) == ["- domain acme", "- domain other"]
    assert await account_of(store, token, NOW) is None
    assert await log_in(store, "acme", "152", "secret one", NOW) is None
    await applied(store, SMALL)
    again = await log_in(store, "acme", "152", "secret one", NOW)
    assert again is not None and again[1].domain_id != account.domain_id and again[1].user_id != account.user_id
    assert await account_of(store, token, NOW) is None


async def test_a_file_has_the_first_password_only(store: Store) -> None:
    await applied(store, SMALL)
    token, account = await log_in(store, "acme", "152", "secret one", NOW) or pytest.fail("cannot log in")
    by = Actor(login="152", address="192.0.2.1")
    assert await change_password(store, account, "secret one", "my own secret", token=token, by=by, now=NOW)
    for file in (
        SMALL,
        SMALL.replace("secret one", "secret two"),
        SMALL.replace('password = "secret one"', f'password_hash = "{HASH}"'),
    ):
        assert await applied(store, file) == []
        assert await account_of(store, token, NOW) is not None
        assert await log_in(store, "acme", "152", "secret one", NOW) is None
        assert await log_in(store, "acme", "152", "secret two", NOW) is None
        assert await log_in(store, "acme", "152", "my own secret", NOW) is not None


async def test_a_new_password_ends_the_sessions_of_the_old(store: Store) -> None:
    await applied(store, SMALL)
    token, _ = await log_in(store, "acme", "152", "secret one", NOW) or pytest.fail("cannot log in")
    await set_password(store, "acme", "152", "secret three")
    assert await account_of(store, token, NOW) is None
    assert await log_in(store, "acme", "152", "secret one", NOW) is None
    assert await log_in(store, "acme", "152", "secret three", NOW) is not None
    with pytest.raises(ConfigurationError, match="no user 'nobody' in domain 'acme'"):
        await set_password(store, "acme", "nobody", "long enough")


@pytest.mark.parametrize(("password", "problem"), [("", "has 0"), ("x", "has 1"), ("1234567", "has 7"), (" " * 8, "spaces only")])
async def test_one_rule_for_the_operator_and_for_the_file(store: Store, password: str, problem: str) -> None:
    await applied(store, SMALL)
    with pytest.raises(ConfigurationError, match=problem):
        await set_password(store, "acme", "152", password)
    with pytest.raises(ConfigurationError, match=f'user "152", password: .*{problem}') as error:
        parse_directory(SMALL.replace("secret one", password), source="company.toml")
    assert not password.strip() or repr(password) not in str(error.value)
    assert await log_in(store, "acme", "152", "secret one", NOW) is not None


async def test_passwords_are_not_stored(store: Store, section: StoreSection, tmp_path: Path) -> None:
    changes = await apply(store, parse_directory(SMALL, source="company.toml"))
    assert "secret one" not in repr(parse_directory(SMALL, source="company.toml"))
    assert not any("$argon2" in str(change) for change in changes)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"secret one" not in file.read_bytes()


WRONG = [
    (
        'timezone = "Europe/Moscow"',
        'timezone = "Moscow"',
        "domain \"other\", timezone = 'Moscow': is no time zone; write one as in",
    ),
    ('timezone = "Europe/Moscow"', "", 'domain "other": timezone is missing'),
    ('title = "Другой"', 'title = "Другой"\ncountry = "Russia"', "domain \"other\", country = 'Russia': is no country"),
    ('title = "Другой"', 'title = "Другой"\nzone = 1', 'domain "other": unknown key zone; known here: area_codes, beep_every_s'),
    ('name = "Чужой"', 'name = "Чужой"\nrecrod = "all"', 'user "152": unknown key recrod; known here: endpoints'),
    ('name = "Чужой"', 'name = "Чужой"\nrecord = "yes"', "user \"152\", record = 'yes': "),
    (
        'name = "Чужой"',
        'name = "Чужой"\nendpoints = ["PJSIP/acme-152"]',
        'endpoint "PJSIP/acme-152" is in endpoints of acme/152 and other/152',
    ),
    ('login = "421"', 'login = "152"', 'two users of domain "acme" have login = "152"'),
    ('extension = "421"', 'extension = "152"', 'two users of domain "acme" have extension = "152"'),
    ('name = "other"', 'name = "acme"', 'two domains have name = "acme"'),
    ('number = "2458888"', 'number = "2458888"\n[[domain.number]]\nnumber = "2458888"', 'has number = "2458888" twice'),
    ('password = "secret one"', 'password = "secret one"\npassword_hash = "x"', "is no argon2 hash"),
    ('password = "secret one"', "password = 12345", "password: "),
    ('[[domain]]\nname = "other"', '[[domian]]\nname = "other"', "at the top: unknown key domian; known here: domain"),
    ('title = "Другой"', "title = ", "not valid TOML: "),
    ('title = "Другой"', 'title = "Другой"\nnotice_in = "x)b(evil"', "notice_in = 'x)b(evil': "),
    ('title = "Другой"', 'title = "Другой"\nretention_days = 0', "retention_days = 0: "),
]


@pytest.mark.parametrize(("old", "new", "words"), WRONG)
def test_a_wrong_file_is_reported_in_one_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    file = tmp_path / "company.toml"
    assert SMALL.count(old) == 1
    file.write_text(SMALL.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        parse_directory_file(file)
    message = str(error.value)
    assert message.startswith(f"{file}: ") and words in message and "\n" not in message
    assert "12345" not in message and "secret one" not in message


async def test_laid_over_what_is_there_two_users_must_not_share_an_endpoint(store: Store) -> None:
    await applied(store, SMALL)
    more = SMALL.replace('login = "152"\n  name = "Петров"', 'login = "153"\n  name = "Сидоров"')
    with pytest.raises(ConfigurationError, match=r'endpoint "PJSIP/acme-152" would belong to acme/152 and acme/153'):
        await applied(store, more)
    assert await applied(store, SMALL) == []
    assert await applied(store, more, prune=True) == ["+ user acme/153", "- user acme/152"]


def test_the_difference_is_empty_for_equals() -> None:
    change = Change(domain="", kind="domain", name="x", before=None, after={})
    assert str(change) == "+ domain x"
    assert difference([], [], prune=True) == []
