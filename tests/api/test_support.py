"""«Нужна помощь» is delivered to a real SMTP server, or the answer says that it was not sent."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from fonoteka.cli.doctor import mail as doctor_mail
from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration, MailSection, MailSecurity
from tests.api.conftest import Site, free_port, serving
from tests.support.eventually import eventually
from tests.support.mail_server import FROM, SECOND, SUPPORT, mail_section, mail_server, mute_server

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # of aiosmtpd; some servers do so

ASKED = {"name": "Пётр Петров", "contact": "petr@acme.example", "message": "Не помню пароль.\n.\nПерезвоните."}
BOSS = "boss@acme.example"


@pytest.fixture
def folder(seeded: Path, tmp_path: Path) -> Path:
    """The folder of a seeded store."""
    shutil.copytree(seeded, tmp_path, dirs_exist_ok=True)
    return tmp_path


@asynccontextmanager
async def desk(folder: Path, **options: Any) -> AsyncIterator[tuple[Any, Site]]:
    """Serve the API with a mail server."""
    with mail_server(folder, **options) as (server, section):
        async with serving(folder, mail=section) as site:
            yield server, site


async def ask(site: Site, fields: Mapping[str, object] = {}, client: httpx.AsyncClient | None = None) -> httpx.Response:
    async with site.client() as stranger:
        return await (client or stranger).post("/api/support", json=ASKED | dict(fields))


@pytest.mark.parametrize(("security", "login"), [("none", False), ("none", True), ("starttls", True), ("tls", True)])
async def test_a_request_without_a_session_is_sent(folder: Path, security: str, login: bool) -> None:
    async with desk(folder, security=MailSecurity(security), login=login) as (server, site):
        answer = await ask(site)
        assert (answer.status_code, answer.content) == (204, b"")
    (taken,) = server.taken
    assert (taken.recipients, taken.logged_in, taken.encrypted) == ((SUPPORT, SECOND), login, security != "none")
    message = taken.message
    assert message["subject"] == "Нужна помощь: Пётр Петров"
    assert (message["to"], message["reply-to"]) == (f"{SUPPORT}, {SECOND}", "Пётр Петров <petr@acme.example>")
    assert message["from"].addresses[0].addr_spec == FROM
    assert message["cc"] is None
    assert abs(message["date"].datetime - datetime.now(UTC)) < timedelta(minutes=1)
    text = message.get_content().replace("\r\n", "\n")
    assert text == ("Имя: Пётр Петров\nКонтакт: petr@acme.example\nАдрес: 127.0.0.1\n\nНе помню пароль.\n.\nПерезвоните.\n")


async def test_the_text_names_the_domain_and_who_is_logged_in(folder: Path) -> None:
    async with desk(folder) as (server, site):
        await ask(site, {"domain": "acme"})
        async with await site.log_in("152") as client:
            await ask(site, {"domain": "other"}, client)
    stranger, user = [message.message.get_content() for message in server.taken]
    assert "Домен (со слов): acme" in stranger
    assert "Вошёл как: 152, домен acme" in user and "other" not in user


HOSTILE = [
    {"name": "x\r\nBcc: victim@evil.example"},
    {"name": "x\n\n<html>"},
    {"name": "x\x85Bcc: victim@evil.example\u2028To: victim@evil.example"},
    {"contact": "a@b.example\r\nBcc: victim@evil.example"},
    {"contact": "a@b.example>, <victim@evil.example"},
    {"contact": '"a\r\nRCPT TO:<victim@evil.example>"@b.example'},
    {"domain": "acme\r\nBcc: victim@evil.example"},
    {"message": "x\r\n.\r\nMAIL FROM:<victim@evil.example>\r\n"},
]


@pytest.mark.parametrize("fields", HOSTILE)
async def test_input_never_becomes_a_header_or_a_recipient(folder: Path, fields: dict[str, str]) -> None:
    async with desk(folder) as (server, site):
        answer = await ask(site, fields)
    assert answer.status_code == 204, answer.text
    (taken,) = server.taken
    assert taken.recipients == (SUPPORT, SECOND)
    usual = {"subject", "from", "to", "reply-to", "date", "message-id", "content-type", "content-transfer-encoding", "mime-version"}
    names = [name.lower() for name in taken.message.keys()]  # noqa: SIM118
    assert set(names) - {"x-peer", "x-mailfrom", "x-rcptto"} <= usual and max(Counter(names).values()) == 1
    assert taken.message["to"] == f"{SUPPORT}, {SECOND}"
    if reply := taken.message["reply-to"]:
        assert [address.addr_spec for address in reply.addresses] == ["petr@acme.example"]


@pytest.mark.parametrize("contact", ["8-913-123-45-67", "petr", "пётр@acme.example", "petr@"])
async def test_a_contact_that_is_no_e_mail_address_is_only_in_the_text(folder: Path, contact: str) -> None:
    async with desk(folder) as (server, site):
        assert (await ask(site, {"contact": contact})).status_code == 204
    assert server.taken[0].message["reply-to"] is None
    assert f"Контакт: {contact}" in server.taken[0].message.get_content()


INVALID: list[dict[str, object]] = [
    {"name": " "}, {"contact": ""}, {"message": "\n"}, {"message": "x" * 5001}, {"name": "x" * 201}, {"name": None}, {"more": 1},
]  # fmt: skip


async def test_invalid_requests_are_refused(folder: Path) -> None:
    async with desk(folder) as (server, site):
        answers = [await ask(site, wrong) for wrong in INVALID]
        assert {answer.status_code for answer in answers} == {422}
        assert (await ask(site)).status_code == 204  # invalid requests are not counted
    assert len(server.taken) == 1


REFUSES: list[tuple[dict[str, Any], int]] = [
    ({"refused": frozenset({SUPPORT, SECOND})}, 502),
    ({"full": True}, 502),
    ({"refused": frozenset({SUPPORT})}, 204),
    ({"refused": frozenset({BOSS})}, 204),
]


@pytest.mark.parametrize(("behaviour", "status"), REFUSES)
async def test_it_is_sent_where_support_gets_it(folder: Path, behaviour: dict[str, Any], status: int) -> None:
    async with desk(folder, **behaviour) as (server, site), await site.log_in("152") as client:
        answer = await ask(site, client=client)
    assert answer.status_code == status
    assert len(server.taken) == (status == 204)
    if status == 502:
        assert (answer.json()["type"], answer.json()["detail"]) == ("/problems/mail-refused", "the mail server did not take it")


async def test_a_wrong_mail_password_is_logged_and_not_answered(folder: Path) -> None:
    with mail_server(folder, login=True) as (server, section):
        wrong = section.model_copy(update={"password": mail_section(1, folder, login=True).password, "user": "somebody"})
        async with serving(folder, mail=wrong) as site:
            with capture_logs() as logs:
                answer = await ask(site)
    assert (answer.status_code, answer.json()["type"], server.taken) == (502, "/problems/mail-refused", [])
    assert "535" in next(line["error"] for line in logs if line["event"] == "help.not_sent")
    assert "mail-secret" not in str(logs)


async def test_an_unknown_certificate_is_not_trusted(folder: Path) -> None:
    with mail_server(folder, security=MailSecurity.STARTTLS, login=True) as (server, section):
        async with serving(folder, mail=section.model_copy(update={"ca_file": None})) as site:
            answer = await ask(site)
    assert (answer.status_code, answer.json()["type"], server.taken) == (503, "/problems/mail-unreachable", [])


async def test_starttls_is_required(folder: Path) -> None:
    with mail_server(folder) as (server, section):
        async with serving(folder, mail=section.model_copy(update={"security": MailSecurity.STARTTLS})) as site:
            answer = await ask(site)
    assert (answer.status_code, server.taken) == (502, [])


async def test_a_silent_mail_server_times_out(folder: Path) -> None:
    with mute_server(folder) as section:
        async with serving(folder, mail=section) as site:
            answer = await ask(site)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/mail-unreachable")


async def test_concurrent_deliveries_are_limited(folder: Path) -> None:
    with mute_server(folder) as section:
        async with serving(folder, mail=section.model_copy(update={"timeout": 60.0})) as site:
            requests = [asyncio.create_task(ask(site)) for _ in range(12)]
            await eventually(lambda: sum(request.done() for request in requests) == 8)
            first = await asyncio.gather(*(request for request in requests if request.done()))
    kinds = Counter(answer.json()["type"].removeprefix("/problems/") for answer in first)
    assert kinds == {"busy": 8}
    await asyncio.gather(*requests, return_exceptions=True)


async def test_an_absent_mail_server(folder: Path) -> None:
    async with serving(folder, mail=mail_section(free_port(), folder)) as site:
        answers = [await ask(site) for _ in range(7)]  # not sent, so not counted
    assert {(answer.status_code, answer.json()["type"]) for answer in answers} == {(503, "/problems/mail-unreachable")}


async def test_another_site_cannot_send_a_request(folder: Path) -> None:
    async with desk(folder) as (server, site), site.client(Origin="https://evil.example") as client:
        assert (await ask(site, client=client)).status_code == 403
    assert server.taken == []


async def test_without_a_mail_server_the_page_is_told_whom_to_ring(site: Site) -> None:
    answer = await ask(site)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/mail-not-configured")
    async with site.client() as stranger:
        contacts = (await stranger.get("/api/portal")).json()
    assert contacts == {"support_phone": "8-800-77-55-117", "support_email": None, "can_send_help": False}


async def test_with_a_mail_server_help_can_be_sent(folder: Path) -> None:
    async with desk(folder) as (_, site), site.client() as stranger:
        assert (await stranger.get("/api/portal")).json()["can_send_help"] is True


async def checked(section: MailSection) -> Finding:
    (finding,) = [finding async for finding in doctor_mail.check(Configuration(mail=section))]
    return finding


async def test_the_doctor_checks_the_mail_server(folder: Path) -> None:
    assert [finding async for finding in doctor_mail.check(Configuration())] == []
    with mail_server(folder, security=MailSecurity.STARTTLS, login=True) as (server, section):
        reachable = await checked(section)
        assert (reachable.ok, "security starttls, logged in" in reachable.detail) == (True, True)
        refused = await checked(section.model_copy(update={"user": "somebody"}))
        assert (refused.ok, "mail.password" in refused.mend) == (False, True)
        untrusted = await checked(section.model_copy(update={"ca_file": None}))
        assert (untrusted.ok, "mail.ca_file" in untrusted.mend) == (False, True)
        nowhere = await checked(section.model_copy(update={"ca_file": folder / "nothing.pem"}))
        assert (nowhere.ok, "mail.ca_file" in nowhere.detail) == (False, True)
    gone = await checked(section)
    assert (gone.ok, "mail.smtp" in gone.mend, server.taken) == (False, True, [])
