"""The configuration of the lab's Asterisk.

What operators are given (asterisk_conf) plus a small office's endpoints and dialplan.

The templates are in lab/asterisk/etc; `@NAME@` in them is replaced (Asterisk itself uses
`${NAME}`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asterisk_conf
from lab.asterisk.rootfs import AsteriskProgram
from lab.base.company import LabCompany, LabUser

_TEMPLATES: Final = Path(__file__).parent / "etc"
OPERATORS: Final = Path(asterisk_conf.__file__).parent
_EACH_COMPANY: Final = re.compile(r"^; EACH COMPANY\b[^\n]*\n(.*?)^; END\n", re.DOTALL | re.MULTILINE)
AMI_USER: Final = "fonoteka"
_AGI: Final = "127.0.0.1:4573"  # where the agent listens by the kit
WATCHER: Final = "watcher"  # the tests' own account: sees the same events, may do everything


@dataclass(frozen=True, kw_only=True, slots=True)
class LabNetwork:
    """Where everything of one company in a lab listens; the PBX is the same for all of them."""

    pbx: str
    sip_port: int
    ami_port: int
    agi_port: int
    trunk: str
    outside: str
    outside_port: int


def write_configuration(
    etc: Path,
    *,
    program: AsteriskProgram,
    companies: Mapping[LabCompany, LabNetwork],
    lab: Path,
    run: Path,
    secret: str,
    ring_s: float,
) -> None:
    """Write everything Asterisk reads into `etc`.

    `lab` and `run` are the lab's folders as Asterisk sees them.
    """
    network = next(iter(companies.values()))
    values = {
        "LAB": str(lab),
        "RUN": str(run),
        "MODULES": str(program.modules),
        "DATA": str(lab / "data"),
        "PBX": network.pbx,
        "SIP_PORT": str(network.sip_port),
        "AMI_PORT": str(network.ami_port),
        "SECRET": secret,
        "RING_S": f"{ring_s:g}",
    }
    per_company = [_of_company(company, network) for company, network in companies.items()]
    for template in sorted(_TEMPLATES.glob("*.conf")):
        _fill(template, etc / template.name, values, per_company)
    for template in sorted(OPERATORS.glob("**/*.conf")):
        target = etc / template.relative_to(OPERATORS)
        target.parent.mkdir(exist_ok=True)
        _fill(template, target, values, per_company)
    features = etc / "features.d" / "fonoteka.conf"
    features.write_text(features.read_text().replace(_AGI, f"{network.pbx}:{network.agi_port}"))
    (etc / "manager.d" / f"{WATCHER}.conf").write_text(
        f"[{WATCHER}]\nsecret = {secret}\ndeny = 0.0.0.0/0.0.0.0\npermit = 127.0.0.0/255.0.0.0\n"
        "read = all\nwrite = all\nwritetimeout = 5000\n"
    )


def _of_company(company: LabCompany, network: LabNetwork) -> dict[str, str]:
    return {
        "TRUNK": network.trunk,
        "OUTSIDE": network.outside,
        "OUTSIDE_PORT": str(network.outside_port),
        "COMPANY": company.name,
        "PREFIX": company.prefix,
        "EVERYBODY": "&".join(f"PJSIP/{company.endpoint(user.extension)}" for user in company.users),
        "AGENTS": "\n".join(f"[{company.endpoint(user.extension)}]" for user in company.users),
        "OF": company.suffix,
        "PHONES": "\n".join(_phone(company, user) for user in company.users),
        "NUMBERS": "\n".join(
            f"exten => {u.number},1,Goto(ring{company.suffix},{u.extension},1)" for u in company.users if u.number
        ),
        "MENU_NUMBER": company.menu_number,
        "MENU_LEADS_TO": company.menu_leads_to,
        "GROUP_NUMBER": company.group_number,
        "GROUP": "&".join(f"PJSIP/{company.endpoint(member)}" for member in company.group),
        "QUEUE_NUMBER": company.queue_number,
        "DUTY_NUMBER": company.duty_number,
        "DUTY_LEADS_TO": company.duty_leads_to,
        "FOLLOW_NUMBER": company.follow_number,
        "CONFERENCE": company.conference,
        "QUEUE_MEMBERS": "\n".join(f"member => PJSIP/{company.endpoint(member)}" for member in company.queue),
    }


def _fill(template: Path, target: Path, values: Mapping[str, str], per_company: Sequence[Mapping[str, str]]) -> None:
    """What stands between `; EACH COMPANY` and `; END` is written for each company."""

    def for_each(block: re.Match[str]) -> str:
        return "".join(_filled(block.group(1), {**values, **company}) for company in per_company)

    text = _EACH_COMPANY.sub(for_each, template.read_text(encoding="utf-8"))
    target.write_text(_filled(text, values), encoding="utf-8")


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"@([A-Z_]+)@", lambda mark: values[mark.group(1)], text)


def _phone(company: LabCompany, user: LabUser) -> str:
    endpoint = company.endpoint(user.extension)
    return (
        f"[{endpoint}](phone{company.suffix})\naors = {endpoint}\ncallerid = {user.name} <{user.extension}>\n"
        f"{'allow = g722,opus' if user.extension in company.wideband else ''}\n"
        f"[{endpoint}]\ntype = aor\nmax_contacts = 1\nremove_existing = yes\n"
    )
