"""Each failed login is a line of the log that fail2ban can read, and nothing else is."""

import re
from configparser import RawConfigParser
from ipaddress import ip_address
from pathlib import Path

import pytest

from fonoteka.core.config import StoreSection
from store.database.store import Store
from store.people.accounts import Pbx
from tests.intruder.on_both_databases import journal
from tests.support.eventually import eventually
from tests.support.served import api_process

FILTER = Path(__file__).parents[2] / "deploy" / "fail2ban" / "filter.d" / "fonoteka.conf"
LINE = "timestamp=2026-11-29T04:10:00.123456Z level=warning part=api event=login.failed address={}"


def banned(line: str) -> str | None:
    """Return the address that the filter takes out of a line."""
    parser = RawConfigParser()
    parser.read(FILTER, encoding="utf-8")
    match = re.search(parser["Definition"]["failregex"].replace("<ADDR>", r"(?P<address>[0-9a-fA-F.:]+)"), line)
    return str(ip_address(match["address"])) if match else None


# What is tried; the account that the line names, and the entries of the journal.
TRIED = [
    ("acme", "152", " account=acme/152", [("152", {"count": 1})]),
    ("acme", "nobody", "", [("*", {"count": 1, "addresses": 1})]),
    ("nowhere", "152", "", []),
    ("acme", "x account=y\nevent=login.failed address=203.0.113.9", "", []),  # counted with the next batch
]


@pytest.mark.parametrize("section", ["sqlite"], indirect=True)
async def test_the_filter_reads_what_the_program_logs(store: Store, pbx: Pbx, section: StoreSection, tmp_path: Path) -> None:
    expected = []
    async with api_process(section, tmp_path) as api, api.client() as client:
        for domain, login, account, entries in TRIED:
            answer = await client.post("/api/login", json={"domain": domain, "login": login, "password": "wrong"})
            assert answer.status_code == 401
            text = [line for line in api.log.read_text(encoding="utf-8").splitlines() if "login.failed" in line][-1]
            assert text.endswith(f" event=login.failed address=127.0.0.1{account}")
            without_time = text.replace(text.split(" ")[0], "", 1)  # as fail2ban cuts it out of a file
            for form in (text, without_time, f"pbx1 fonoteka[4711]: {text}"):
                assert banned(form) == "127.0.0.1", form
            expected += entries

    async def written() -> bool:
        return [(entry.login, entry.detail) for entry in await journal(store, "login_failed")] == expected

    await eventually(written)


LINES = [
    (LINE.format("192.0.2.7"), "192.0.2.7"),
    (LINE.format("192.0.2.7") + " account=acme/152", "192.0.2.7"),
    (LINE.format("2001:db8::7"), "2001:db8::7"),
    (LINE.format("unknown"), None),
    (LINE.format("192.0.2.7x"), None),
    (LINE.format("192.0.2.7") + " path=/", None),
    (
        'timestamp=2026-11-29T04:10:00Z level=error part=api event=request.failed path="/x event=login.failed address=203.0.113.9"',
        None,
    ),
    (f'timestamp=2026-11-29T04:10:00Z level=error part=api event=request.failed path="{LINE.format("203.0.113.9")}"', None),
]


@pytest.mark.parametrize(("line", "address"), LINES)
def test_only_lines_of_failed_logins_ban(line: str, address: str | None) -> None:
    assert banned(line) == address
