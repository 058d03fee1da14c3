"""AMI over TLS on a real Asterisk: the right certificate, and every wrong one."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import trustme

from agent.ami.client import AmiClient, AmiEvent, LinkDown, LinkUp
from agent.ami.tls import tls_context
from fonoteka.cli.doctor.asterisk import check
from fonoteka.core.config import Configuration, PbxSection
from fonoteka.core.errors import AmiRefused, ConfigurationError
from lab.asterisk.addresses import free_port
from lab.asterisk.config import WATCHER
from lab.asterisk.server import LabAsterisk
from tests.support.eventually import LIMIT_S


@dataclass(frozen=True, kw_only=True)
class TlsPbx:
    """The spare PBX with TLS on AMI, and the authority that signs its certificates."""

    pbx: LabAsterisk
    authority: trustme.CA
    port: int

    @property
    def host(self) -> str:
        return self.pbx.ami[0]

    @property
    def ca_file(self) -> Path:
        return self.pbx.folder / "keys" / "ca.pem"

    def section(self, **changed: Any) -> PbxSection:
        """The configuration of an agent that connects by TLS."""
        right = {"ami": f"{self.host}:{self.port}", "ami_tls": True, "ami_ca": self.ca_file, "ami_secret": self.pbx.ami_secret}
        return PbxSection.model_validate(
            {**right, "spool": self.pbx.spool, "spool_in_asterisk": self.pbx.spool_in_asterisk, **changed}
        )

    async def show(self, authority: trustme.CA, host: str, ends_in: timedelta = timedelta(days=90)) -> None:
        """Let Asterisk show another certificate."""
        certificate = authority.issue_cert(host, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime.now(UTC) + ends_in)
        certificate.private_key_and_cert_chain_pem.write_to_path(str(self.pbx.folder / "keys" / "ami.pem"))
        await self.pbx.cli("manager reload")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tls_pbx(spare_pbx: LabAsterisk) -> AsyncIterator[TlsPbx]:
    file = spare_pbx.folder / "etc" / "manager.conf"
    whole = file.read_text(encoding="utf-8")
    there = TlsPbx(pbx=spare_pbx, authority=trustme.CA(), port=free_port(spare_pbx.ami[0], socket.SOCK_STREAM, 5039))
    there.authority.cert_pem.write_to_path(str(there.ca_file))
    pem = spare_pbx.spool_in_asterisk.parents[1] / "keys" / "ami.pem"
    lines = f"tlsenable = yes\ntlsbindaddr = {there.host}:{there.port}\ntlscertfile = {pem}\n"
    file.write_text(whole.replace("timestampevents = yes\n", f"timestampevents = yes\n{lines}"), encoding="utf-8")
    try:
        await there.show(there.authority, there.host)
        yield there
    finally:
        file.write_text(whole, encoding="utf-8")
        await spare_pbx.cli("manager reload")


async def first_failure(section: PbxSection) -> str:
    """What keeps the agent from Asterisk, in one line."""
    host, _, port = section.ami.rpartition(":")
    assert section.ami_secret is not None
    secret, tls = section.ami_secret.get_secret_value(), tls_context(section, None)
    client = AmiClient((host, int(port)), "fonoteka", secret, events=frozenset(), tls=tls)
    run, first = asyncio.create_task(client.run()), asyncio.create_task(client.next())
    try:
        await asyncio.wait((run, first), timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        if run.done():
            run.result()
        down = first.result()
        assert isinstance(down, LinkDown)
        return down.reason
    except AmiRefused as refusal:
        return str(refusal)
    finally:
        run.cancel()
        first.cancel()
        await asyncio.gather(run, first, return_exceptions=True)


async def test_actions_and_events_pass(tls_pbx: TlsPbx) -> None:
    pbx, tls = tls_pbx.pbx, tls_context(tls_pbx.section(), None)
    client = AmiClient((tls_pbx.host, tls_pbx.port), WATCHER, pbx.ami_secret, events=frozenset({"UserEvent"}), tls=tls)
    run = asyncio.create_task(client.run())
    try:
        async with asyncio.timeout(LIMIT_S):
            assert isinstance(await client.next(), LinkUp)
            await client.action("UserEvent", UserEvent="Жанна")
            event = await client.next()
        assert isinstance(event, AmiEvent) and event.headers["UserEvent"] == "Жанна"
        assert await client.listing("CoreShowChannels") == []
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another authority": ({"authority": trustme.CA()}, "self-signed certificate|unable to get local issuer certificate"),
    "expired": ({"ends_in": -timedelta(days=1)}, "certificate has expired"),
    "another host": ({"host": "pbx.example"}, "IP address mismatch, certificate is not valid for '{host}'"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_certificate_is_refused_and_named(tls_pbx: TlsPbx, wrong: str) -> None:
    changed, reason = WRONG[wrong]
    await tls_pbx.show(**{"authority": tls_pbx.authority, "host": tls_pbx.host, **changed})
    try:
        failure = await first_failure(section := tls_pbx.section())
        finding = await anext(check(Configuration(pbx=section), None, None))
    finally:
        await tls_pbx.show(tls_pbx.authority, tls_pbx.host)
    assert failure.startswith(f"pbx.ami = {section.ami}: the certificate of Asterisk is refused: ")
    assert any(said.format(host=tls_pbx.host) in failure for said in reason.split("|")), failure
    assert "check pbx.ami_ca" in failure and "\n" not in failure
    assert (finding.check, finding.ok, finding.detail) == ("login over AMI", False, failure)


async def test_the_plain_port_and_tls_that_is_not_set(tls_pbx: TlsPbx) -> None:
    host, port = tls_pbx.pbx.ami
    plain = await first_failure(tls_pbx.section(ami=f"{host}:{port}"))
    assert plain.startswith(f"pbx.ami = {host}:{port}: no TLS there; is it the port of tlsbindaddr in manager.conf")
    unset = await first_failure(tls_pbx.section(ami_tls=False, ami_ca=None))
    assert unset.endswith("before the login was done; if it is the port of tlsbindaddr, set pbx.ami_tls = true")


def test_an_authority_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name, reason in (("gone.pem", "No such file or directory"), ("empty.pem", "it holds no certificate (PEM)")):
        file = tmp_path / name
        with pytest.raises(ConfigurationError) as error:
            tls_context(PbxSection(ami_tls=True, ami_ca=file), Path("fonoteka.toml"))
        assert str(error.value) == f"fonoteka.toml: pbx.ami_ca = {str(file)!r}: {reason}"


@pytest.mark.parametrize(("days", "ok"), [(90, True), (7, False)])
async def test_the_doctor_names_the_end_of_the_certificate(tls_pbx: TlsPbx, days: int, ok: bool) -> None:
    await tls_pbx.show(tls_pbx.authority, tls_pbx.host, timedelta(days=days))
    try:
        findings = [finding async for finding in check(Configuration(pbx=tls_pbx.section()), None, None)]
    finally:
        await tls_pbx.show(tls_pbx.authority, tls_pbx.host)
    login, certificate = findings[:2]
    assert (login.ok, login.detail.endswith(" over TLS")) == (True, True)
    assert (certificate.check, certificate.ok) == ("certificate of AMI", ok)
    assert certificate.detail.startswith("valid until ")
    shared = next(finding for finding in findings if finding.check == "spool shared")
    assert shared.ok, "the process that listens on the TLS port is found, too"


def test_tls_is_not_too_old() -> None:
    context = tls_context(PbxSection(ami_tls=True), None)
    assert context is not None
    assert (context.check_hostname, context.verify_mode, context.minimum_version >= ssl.TLSVersion.TLSv1_2) == (
        True,
        ssl.CERT_REQUIRED,
        True,
    )
