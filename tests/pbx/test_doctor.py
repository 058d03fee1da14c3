"""`fonoteka doctor` on the real Asterisk.

In order beside a running installation, and each line that is taken away is named.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio

from fonoteka.cli.ami_connection import linked
from fonoteka.cli.doctor import Finding, account, conf, kit, needs
from fonoteka.cli.doctor.asterisk import check
from fonoteka.core.config import Configuration, load
from fonoteka.core.domains import Domain, DomainSettings, RecordRule, User
from lab.asterisk.server import LabAsterisk
from lab.tools.installation import Fonoteka, configuration_text
from lab.tools.installation import fonoteka as run_command

SOUND = "fonoteka/recorded-ru"


async def test_a_running_installation_is_in_order(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    assert (await run_command("keys", "show", "--recovery", "--confirm", folder=fonoteka.folder))[0] == 0
    code, out, err = await run_command("doctor", "--json", folder=fonoteka.folder)
    answer = json.loads(out)
    bad = [finding for finding in answer["findings"] if not finding["ok"]]
    assert (code, bad, err) == (0, [], "")
    assert answer["ok"]
    checked = {(finding["part"], finding["check"]) for finding in answer["findings"]}
    assert {
        ("asterisk", "login over AMI"),
        ("asterisk", "rights of the account"),
        ("asterisk", "spool shared"),
        ("kit", "manager.d/fonoteka.conf"),
        ("kit", "module app_mixmonitor"),
        ("kit", "endpoints of users"),
        ("api", "ready"),
        ("api", "has users"),
    } <= checked


async def test_the_logs_of_a_run_hold_no_secret(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    token = (fonoteka.folder / "fonoteka-data" / "lab.agent").read_text(encoding="ascii")
    log = fonoteka.log()
    assert "part=agent" in log
    for secret in (pbx.ami_secret, token, "petrov-152", "admin-900"):
        assert secret not in log


@dataclass(frozen=True, kw_only=True)
class Patient:
    """The spare PBX, whose configuration is broken, and a company that uses all of the kit."""

    pbx: LabAsterisk
    configuration: Configuration
    settings: DomainSettings

    async def examined(self) -> list[Finding]:
        """All about the PBX."""
        return [finding async for finding in check(self.configuration, None, self.settings)]

    async def wrong(self) -> list[Finding]:
        """What is not in order."""
        return [finding for finding in await self.examined() if finding.ok is not True]

    @asynccontextmanager
    async def without(self, line: str, file: str, reload: str, instead: str = "") -> AsyncIterator[None]:
        """The PBX while one line of a configuration file is gone."""
        path = self.pbx.folder / "etc" / file
        whole = path.read_text(encoding="utf-8")
        kept = [instead if raw == line else raw for raw in whole.splitlines()]
        assert kept != whole.splitlines()
        path.write_text("\n".join(kept) + "\n", encoding="utf-8")
        try:
            await self.pbx.cli(reload)
            yield
        finally:
            path.write_text(whole, encoding="utf-8")
            await self.pbx.cli(reload)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def patient(spare_pbx: LabAsterisk, tmp_path_factory: pytest.TempPathFactory) -> Patient:
    folder = tmp_path_factory.mktemp("doctor")
    (folder / "fonoteka.toml").write_text(configuration_text(spare_pbx, folder, "127.0.0.1:1"), encoding="utf-8")
    users = tuple(
        User(login=u.extension, name=u.name, extension=u.extension, endpoints=(f"PJSIP/acme-{u.extension}",), record=u.record)
        for u in spare_pbx.company.users
    )
    domain = Domain(
        name="acme", country="RU", area_codes=(), users=users, numbers=(), notice_in=SOUND, notice_out=SOUND, beep_every_s=15
    )
    assert any(user.record is RecordRule.ON_DEMAND for user in users)
    settings = DomainSettings(version=1, domains=(domain,))
    return Patient(pbx=spare_pbx, configuration=load(folder / "fonoteka.toml"), settings=settings)


async def test_an_installation_that_uses_all_of_the_kit_is_in_order(patient: Patient) -> None:
    assert await patient.wrong() == []
    assert {f"sound {SOUND}", "feature codes", "features.d/fonoteka.conf"} <= {
        finding.check for finding in await patient.examined()
    }


def lines_of(kit_path: str) -> list[str]:
    """The lines of the kit that say something, as they stand in its files."""
    return [
        raw for text in kit.texts(kit_path).values() for raw in text.splitlines() if raw.strip() and raw.lstrip()[0] not in ";[#"
    ]


# What cannot be taken away without locking the account out: then the login itself says so
# (test_bad_input.py).
_LOCKS_OUT = ("secret",)


@pytest.mark.parametrize("line", [line for line in lines_of("manager.d") if not line.startswith(_LOCKS_OUT)])
async def test_each_line_of_the_account(patient: Patient, line: str) -> None:
    # The list of who may connect is kept by the one that is connected.
    async with linked(patient.configuration, None) as client, patient.without(line, "manager.d/fonoteka.conf", "core show uptime"):
        pbx = kit.Pbx(client=client, configuration=patient.configuration)
        use = needs.Use.of(patient.configuration, patient.settings)
        wrong = [finding async for finding in kit.check(pbx, use) if finding.ok is not True]
    named = str(conf.parse(f"[fonoteka]\n{line}")[0])
    assert [(finding.check, finding.ok) for finding in wrong] == [("manager.d/fonoteka.conf", False)]
    assert f"[fonoteka] {named}" in wrong[0].detail


@pytest.mark.parametrize("kit_path", ["extensions.d/fonoteka.conf"])
async def test_each_line_of_the_dialplan(patient: Patient, kit_path: str) -> None:
    for line in dict.fromkeys(lines_of(kit_path)):
        async with patient.without(line, "extensions.d/fonoteka.conf", "dialplan reload"):
            wrong = await patient.wrong()
        assert wrong, line
        assert {(finding.check, finding.ok) for finding in wrong} == {("extensions.d/fonoteka.conf", False)}, line


async def test_each_line_of_the_feature_codes(patient: Patient) -> None:
    file, reload = "features.d/fonoteka.conf", "module reload features"
    # Where the agent listens differs from the kit's.
    there = (patient.pbx.folder / "etc" / file).read_text(encoding="utf-8")
    codes = [raw for raw in there.splitlines() if raw and raw[0] not in ";["]
    assert len(codes) == 2
    for line in codes:
        async with patient.without(line, file, reload):
            wrong = await patient.wrong()
        assert [(finding.check, finding.ok) for finding in wrong] == [(file, False)], line
        assert line.partition(" ")[0] in wrong[0].detail
        async with patient.without(line, file, reload, line.replace("=> *", "=> **9")):
            assert await patient.wrong() == [], "the digits are the operator's"


async def test_a_telephone_that_may_not_dial_the_feature_codes(patient: Patient) -> None:
    line = "set_var = DYNAMIC_FEATURES=fonoteka_record#fonoteka_pause"
    async with patient.without(line, "pjsip.conf", "module reload res_pjsip.so"):
        wrong = await patient.wrong()
    assert [(finding.check, finding.ok, finding.detail) for finding in wrong] == [
        ("feature codes", False, "PJSIP/acme-777 cannot dial them")
    ]
    assert line in wrong[0].mend


@pytest.mark.parametrize(
    ("file", "reload"), [("cel.conf", "module reload cel"), ("cel_custom.conf", "module reload cel_custom.so")], ids=str
)
async def test_each_line_of_the_journal(patient: Patient, file: str, reload: str) -> None:
    assert {file, "module cel_custom", "journal"} <= {finding.check for finding in await patient.examined()}
    for line in lines_of(file):
        async with patient.without(line, file, reload):
            wrong = await patient.wrong()
        assert [(finding.check, finding.ok) for finding in wrong] == [(file, False)], line
        assert line.partition("=")[0].strip() in wrong[0].detail


async def test_a_journal_that_dates_otherwise(patient: Patient) -> None:
    async with patient.without("enable = yes", "cel.conf", "module reload cel", "enable = yes\ndateformat = %s"):
        (wrong,) = await patient.wrong()
    assert wrong.detail.endswith("[general] dateformat must stay unset")


async def test_a_journal_that_is_not_there_yet(patient: Patient) -> None:
    patient.pbx.cel_journal.unlink()
    try:
        assert [(finding.check, finding.ok) for finding in await patient.wrong()] == [("journal", None)]
    finally:
        patient.pbx.cel_journal.touch()


@pytest.mark.parametrize(
    ("file", "line", "instead", "reload", "check", "said"),
    [
        ("manager.conf", "timestampevents = yes", "", "core show uptime", "manager.d/fonoteka.conf", "timestampevents = yes"),
        ("manager.conf", "enabled = yes", "enabled = no", "core show uptime", "manager.d/fonoteka.conf", "[general] enabled = yes"),
        (
            "extensions.conf",
            '#include "extensions.d/*.conf"',
            "",
            "dialplan reload",
            "extensions.d/fonoteka.conf",
            "[fonoteka-notice-in]",
        ),
        (
            "pjsip.conf",
            "[acme-130](phone)",
            "[acme-131](phone)",
            "module reload res_pjsip.so",
            "endpoints of users",
            "has no PJSIP/acme-130",
        ),
    ],
)
async def test_a_line_of_the_operators_own_files(
    patient: Patient, file: str, line: str, instead: str, reload: str, check: str, said: str
) -> None:
    async with patient.without(line, file, reload, instead):
        wrong = await patient.wrong()
    assert any(finding.check == check and finding.ok is False and said in finding.detail for finding in wrong), wrong


@pytest.mark.parametrize("module", ["app_mixmonitor", "app_playback"])
async def test_a_module_that_is_not_loaded(patient: Patient, module: str) -> None:
    await patient.pbx.cli(f"module unload {module}.so")
    try:
        wrong = await patient.wrong()
    finally:
        await patient.pbx.cli(f"module load {module}.so")
    assert f"module {module}" in {finding.check for finding in wrong if finding.ok is False}


@pytest.mark.parametrize("call", [call for call, _, _ in needs.CALLS if "away" not in call])
async def test_a_dialplan_that_does_not_call_the_kit(patient: Patient, call: str) -> None:
    path = patient.pbx.folder / "etc" / "extensions.conf"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(call, "other,"), encoding="utf-8")
    try:
        await patient.pbx.cli("dialplan reload")
        wrong = await patient.wrong()
    finally:
        path.write_text(whole, encoding="utf-8")
        await patient.pbx.cli("dialplan reload")
    assert [(finding.check, finding.ok) for finding in wrong] == [(f"dialplan uses {call.strip(',')}", False)]


async def test_an_agent_of_another_spool_has_the_calls(patient: Patient) -> None:
    await patient.pbx.cli(f'database put fonoteka agent/claim "{"0" * 16}-1 runs pbx2:/var/spool/fonoteka"')
    try:
        wrong = await patient.wrong()
    finally:
        await patient.pbx.cli("database deltree fonoteka agent")
    assert [(finding.check, finding.ok) for finding in wrong] == [("one agent", False)]
    assert "pbx2:/var/spool/fonoteka records the calls" in wrong[0].detail


async def test_a_sound_that_is_not_there(patient: Patient) -> None:
    folder = patient.pbx.folder / "data" / "sounds" / "fonoteka"
    folder.rename(folder.with_name("away"))
    try:
        wrong = await patient.wrong()
    finally:
        folder.with_name("away").rename(folder)
    assert [(finding.check, finding.ok) for finding in wrong] == [(f"sound {SOUND}", False)]


@pytest.mark.parametrize(
    ("write", "closed"),
    [("reporting", {"MixMonitor", "DBPut"}), ("system", {"Getvar"}), ("", set(account.NEEDED))],
)
async def test_an_account_with_fewer_rights_is_told_and_what_it_may_not_ask_is_not_guessed(
    patient: Patient, write: str, closed: set[str]
) -> None:
    async with patient.without("write = system,reporting", "manager.d/fonoteka.conf", "manager reload", f"write = {write}"):
        wrong = await patient.wrong()
    missing = {finding.detail.split()[0] for finding in wrong if finding.check == "rights of the account"}
    assert closed <= missing
    assert "answers" not in {finding.check for finding in wrong}
    unknown = {finding.check for finding in wrong if finding.ok is None}
    assert ("manager.d/fonoteka.conf" in unknown) == ("system" not in write)
    assert ("extensions.d/fonoteka.conf" in unknown) == ("reporting" not in write)


async def test_what_the_companies_use_is_not_guessed_while_the_api_is_away(patient: Patient) -> None:
    unknown = [finding.check async for finding in check(patient.configuration, None, None) if finding.ok is None]
    assert unknown == ["extensions.d/fonoteka.conf", "features.d/fonoteka.conf", "endpoints of users"]
