"""The guess of `fonoteka apply --from-asterisk`, and that any name makes a valid file."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fonoteka.cli.proposal.endpoints import PbxEndpoint, read
from fonoteka.cli.proposal.file import proposal, zone_here
from fonoteka.cli.proposal.people import caller_id, guess, leads_outside
from store.provisioning.directory_file import WantedDomain, parse_directory


def phone(name: str, caller: str = "", tenant: str = "") -> PbxEndpoint:
    return PbxEndpoint(name=name, caller_id=caller, tenant=tenant)


def parsed(*endpoints: PbxEndpoint, domain: str | None = None) -> dict[str, WantedDomain]:
    text = proposal(endpoints, asterisk="127.0.0.1:5038", timezone="UTC", domain=domain)
    return {found.name: found for found in parse_directory(text, source="proposal").domains}


@pytest.mark.parametrize(
    ("text", "name", "number"),
    [
        ('"Петров П.П." <152>', "Петров П.П.", "152"),
        (r'"O\"Neil \\ ; \"\"\" ]] $(id)" <44>', 'O"Neil \\ ; """ ]] $(id)', "44"),
        ('"Lobby" <>', "Lobby", ""),
        ('"Lobby"', "Lobby", ""),
        ("Lobby <+73912458888>", "Lobby", "+73912458888"),
        ("Lobby", "Lobby", ""),
        ("152", "", "152"),
        ('"x" <4"4>', "x", ""),
        ("<unknown>", "", ""),
        ("", "", ""),
    ],
)
def test_caller_ids(text: str, name: str, number: str) -> None:
    assert caller_id(text) == (name, number)


@pytest.mark.parametrize(
    ("endpoint", "outside"),
    [
        (phone("acme-152", '"Петров" <152>'), False),
        (phone("lobby"), False),
        (PbxEndpoint(name="gw", logs_in=True), True),
        (PbxEndpoint(name="gw", logs_in=True, caller_id='"Acme" <73912458888>'), True),
        (PbxEndpoint(name="152", logs_in=True, caller_id='"FreePBX" <152>'), False),
        (PbxEndpoint(name="gw", registers=True, caller_id="<152>"), True),
        (PbxEndpoint(name="trunk", matched_by_address=True), True),
        (PbxEndpoint(name="152", matched_by_address=True, caller_id='"x" <152>'), False),
        (PbxEndpoint(name="trunk", address_is_fixed=True), True),
        (PbxEndpoint(name="door", address_is_fixed=True, caller_id="Door <199>"), False),
        (phone("anonymous"), True),
    ],
)
def test_lines_outside(endpoint: PbxEndpoint, outside: bool) -> None:
    assert (leads_outside(endpoint) is not None) is outside


def test_who_is_who() -> None:
    found = guess(
        [
            phone("beta-9", '"Девятый" <9>'),
            phone("acme-152", '"Петров П.П." <152>'),
            phone("acme-130", "<130>"),
            phone("petrov-mobile", '"Петров П.П." <152>', tenant="acme"),
            phone("other", '"Кто-то" <152>', tenant="acme"),
            phone("0004f2aabbcc"),
            PbxEndpoint(name="trunk", matched_by_address=True),
            phone("two words", "<5>"),
        ]
    )
    assert [(p.domain, p.login, p.name, p.extension, p.endpoints) for p in found.people] == [
        ("acme", "130", "130", "130", ("PJSIP/acme-130",)),
        ("acme", "152", "Петров П.П.", "152", ("PJSIP/acme-152", "PJSIP/petrov-mobile")),
        ("acme", "other", "Кто-то", "", ("PJSIP/other",)),
        ("company", "9", "Девятый", "9", ("PJSIP/beta-9",)),
        ("company", "0004f2aabbcc", "0004f2aabbcc", "", ("PJSIP/0004f2aabbcc",)),
    ]
    assert (set(found.outside), set(found.unfit)) == ({"trunk"}, {"two words"})


def test_one_company_alone_and_one_that_names_nobodys_telephone() -> None:
    both = [phone(f"{company}-{number}") for company in ("acme", "beta") for number in (152, 130)]
    assert {name: len(d.user) for name, d in parsed(*both).items()} == {"acme": 2, "beta": 2}
    assert {name: len(d.user) for name, d in parsed(*both, domain="beta").items()} == {"beta": 2}
    assert {name: len(d.user) for name, d in parsed(phone("152"), phone("130"), domain="acme").items()} == {"acme": 2}


def test_nobody() -> None:
    assert parsed() == {}
    assert parsed(PbxEndpoint(name="trunk", registers=True), domain="acme") == {}


_TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=80)  # of an AMI line


@given(
    st.lists(st.builds(PbxEndpoint, name=_TEXT, caller_id=_TEXT, tenant=_TEXT, logs_in=st.booleans()), unique_by=lambda e: e.name)
)
@example([phone('"]\n[[domain]]', tenant='x"\\'), phone("\x7f\x00\x1f", "\x7f", tenant="\x00"), phone("a", '"\x00 " <1>')])
@example([phone("a/b"), phone("a-b"), phone("152"), phone("x", "<152>", tenant="company"), phone("y", "<152>")])
@example(
    [phone("a", '"' + "я" * 300 + '" <1>'), phone("b" * 150, tenant=" " * 90), PbxEndpoint(name="\x1b\x7f\u2028", logs_in=True)]
)
def test_any_names_make_a_file_that_apply_takes(endpoints: list[PbxEndpoint]) -> None:
    """Each telephone is in it once, under its own name."""
    found = guess(endpoints)
    listed = [e for d in parsed(*endpoints).values() for user in d.user for e in user.endpoints]
    expected = [f"PJSIP/{e.name}" for e in endpoints if e.name not in found.outside and e.name not in found.unfit]
    assert sorted(listed) == sorted(expected)


def test_what_of_an_answer_is_read() -> None:
    rows = [
        {"Event": "EndpointDetail", "Callerid": '"x" <1>', "Tenantid": "acme", "OutboundAuth": "gw"},
        {"Event": "AuthDetail", "Password": "secret"},
        {"Event": "AorDetail", "TotalContacts": "1", "ContactsRegistered": "1"},
    ]
    assert read("gw", rows, registers=False) == PbxEndpoint(name="gw", caller_id='"x" <1>', tenant="acme", logs_in=True)
    fixed = [{"Event": "AorDetail", "TotalContacts": "1", "ContactsRegistered": "0"}, {"Event": "IdentifyDetail"}]
    assert read("t", fixed, registers=True) == PbxEndpoint(name="t", registers=True, matched_by_address=True, address_is_fixed=True)


def test_the_time_zone_of_a_machine(tmp_path: Path) -> None:
    zone = tmp_path / "zoneinfo" / "Asia" / "Krasnoyarsk"
    zone.parent.mkdir(parents=True)
    zone.touch()
    (tmp_path / "localtime").symlink_to(zone)
    assert zone_here(tmp_path / "localtime") == "Asia/Krasnoyarsk"
    assert zone_here(tmp_path / "nothing") == "UTC"
