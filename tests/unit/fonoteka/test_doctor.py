"""The doctor compares lines, steps and endpoints, and knows every file of the kit."""

from importlib.resources import files
from pathlib import Path

import pytest

from fonoteka.cli.doctor import api, conf, dialplan, endpoints, kit, needs
from fonoteka.cli.doctor.conf import ConfLine
from fonoteka.cli.doctor.finding import Finding, in_order, to_text
from fonoteka.core.config import Configuration
from fonoteka.core.domains import Domain, DomainSettings, RecordRule, User

ACME = Domain(name="acme", country="RU", area_codes=(), users=(), numbers=())
MANAGER = """\
[general]
enabled = yes          ; a comment
timestampevents => on
#include "manager.d/*.conf"
[fonoteka]
secret = a\\;b
read = system, call,log
write = all
writetimeout = 6000
eventfilter(action(include),name(DialEnd)) =
eventfilter = Event: Hangup
eventfilter( action(include), name(VarSet), header(Variable), method(exact) ) = RTPAUDIOQOS
"""


@pytest.mark.parametrize(
    ("settings", "ok", "detail", "mend"),
    [
        (DomainSettings(version=1, domains=(ACME,)), True, "acme", "--domain acme"),
        (DomainSettings(version=1, domains=(ACME,), domains_unset=True), False, "all, since", "pbx domains pbx1 --domain acme"),
        (DomainSettings(version=1), True, "none", "--domain NAME"),
    ],
)
def test_a_pbx_whose_domains_nobody_has_named(settings: DomainSettings, ok: bool, detail: str, mend: str) -> None:
    finding = api.served_domains(Configuration(), settings)
    assert finding.ok is ok
    assert detail in finding.detail and mend in finding.mend


def line(text: str, section: str = "fonoteka") -> ConfLine:
    return conf.parse(f"[{section}]\n{text}")[0]


@pytest.mark.parametrize(
    ("wanted", "does"),
    [
        (line("timestampevents = yes", "general"), True),
        (line("timestampevents = yes"), False),
        (line("secret = @SECRET@"), True),
        (line("permit = 127.0.0.1/255.255.255.255"), False),
        (line("read = system,call"), True),
        (line("read = system,dtmf"), False),
        (line("write = system,reporting"), True),
        (line("writetimeout = 5000"), True),
        (line("writetimeout = 7000"), False),
        (line("eventfilter(action(include),name(DialEnd)) ="), True),
        (line("eventfilter(action(include),name(Hangup)) ="), True),
        (line("eventfilter(action(include),name(Hang)) ="), False),
        (line("eventfilter(action(include),name(Hold)) ="), False),
        (line("eventfilter(action(include),name(VarSet),header(Variable),method(exact)) = RTPAUDIOQOS"), True),
        (line("eventfilter(action(include),name(VarSet),header(Variable),method(exact)) = RTPAUDIOQOSMES"), False),
        (line("eventfilter(action(include),name(VarSet)) ="), False),
    ],
    ids=str,
)
def test_a_line_that_does_what_the_kit_asks_for(wanted: ConfLine, does: bool) -> None:
    assert conf.does(wanted, conf.parse(MANAGER)) is does


VARSET = line("eventfilter(action(include),name(VarSet),header(Variable),method(exact)) = RTPAUDIOQOS")


@pytest.mark.parametrize(
    "present", ["eventfilter(action(include),name(VarSet)) =", "eventfilter = Event: VarSet", "eventfilter = Variable: RTPAUDIOQOS"]
)
def test_a_wider_or_older_filter_lets_the_variable_pass_too(present: str) -> None:
    assert conf.does(VARSET, [line(present)])
    assert not conf.does(VARSET, [line("eventfilter = Event: Hangup")])


@pytest.mark.parametrize(("address", "does"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("", False)])  # noqa: S104
def test_the_manager_listens_on_the_loopback(address: str, does: bool) -> None:
    assert conf.does(line("bindaddr = 127.0.0.1", "general"), [line(f"bindaddr = {address}", "general")]) is does


def test_the_last_of_a_repeated_key_counts() -> None:
    assert not conf.does(line("enabled = yes"), conf.parse("[fonoteka]\nenabled = yes\nenabled = no"))


def test_an_answer_of_getconfig_is_read_as_the_file_is() -> None:
    answer = {
        "Response": "Success",
        "Category-000000": "general",
        "Line-000000-000000": "enabled=yes",
        "Category-000001": "fonoteka",
    }
    answer |= {"Line-000001-000000": "secret=a;b", "Line-000001-000001": "eventfilter(action(include),name(Hold))="}
    assert conf.read_answer(answer) == conf.parse(
        "[general]\nenabled = yes\n[fonoteka]\nsecret = a\\;b\neventfilter(action(include),name(Hold)) ="
    )


PLAN = """\
[said]
exten => s,1,Set(LOCAL(rung)=${ARG1})  ; a comment
 same => n,GotoIf($[${LEN(${rung})} = 0]?done)
 same => n(next),Answer()
 same => n(done),Return()
exten => _X.,1,NoOp(a\\;b,(c))
"""


def test_the_steps_of_a_file() -> None:
    assert [(s.exten, s.priority, s.label, s.application, s.arguments) for s in dialplan.steps(conf.parse(PLAN))] == [
        ("s", 1, "", "Set", "LOCAL(rung)=${ARG1}"),
        ("s", 2, "", "GotoIf", "$[${LEN(${rung})} = 0]?done"),
        ("s", 3, "next", "Answer", ""),
        ("s", 4, "done", "Return", ""),
        ("_X.", 1, "", "NoOp", "a;b,(c)"),
    ]


def test_a_step_that_does_not_run_is_named_and_a_missing_context_once() -> None:
    wanted = dialplan.steps(conf.parse(PLAN))
    assert kit.missing_steps(wanted, wanted) == []
    assert kit.missing_steps(wanted, wanted[1:]) == ["[said] exten => s,1,Set(LOCAL(rung)=${ARG1})"]
    assert kit.missing_steps(wanted, []) == ["[said]"]


def test_the_doctor_knows_every_configuration_file_of_the_kit_and_can_read_it() -> None:
    root = Path(str(files("asterisk_conf")))
    known = {path: text for row in needs.FILES for path, text in kit.texts(row.kit).items()}
    assert set(known) == {str(path.relative_to(root)) for path in root.rglob("*.conf")}
    for row in needs.FILES:
        for text in kit.texts(row.kit).values():
            lines = conf.parse(text)
            assert dialplan.steps(lines) if row.conf == needs.DIALPLAN else all(conf.does(one, lines) for one in lines)


def company(name: str, *there: str) -> Domain:
    users = tuple(User(login=e, name=e, extension=e, endpoints=(e,), record=RecordRule.ALL) for e in there)
    return Domain(name=name, country="RU", area_codes=(), users=users, numbers=())


@pytest.mark.parametrize(
    ("domains", "trunks", "there", "ok", "said"),
    [
        ([company("acme", "PJSIP/152", "PJSIP/130")], (), "PJSIP/152 PJSIP/130", True, "all of them"),
        ([company("acme", "PJSIP/152", "PJSIP/130")], (), "PJSIP/152", False, "has no PJSIP/130"),
        ([company("acme", "PJSIP/152", "IAX2/130")], (), "PJSIP/152", True, "all of them"),
        ([company("acme", "PJSIP/152"), company("far", "PJSIP/9")], (), "PJSIP/152", True, "on another PBX: far"),
        ([company("acme", "PJSIP/152")], (), "", False, "no endpoint of any user"),
        ([company("acme", "SCCP/152")], (), "PJSIP/9", None, "no user has a PJSIP endpoint"),
        (
            [company("acme", "PJSIP/152")],
            ("PJSIP/trunk",),
            "PJSIP/152",
            False,
            "pbx.trunks names endpoints that Asterisk lacks: PJSIP/trunk",
        ),
    ],
)
def test_endpoints(domains: list[Domain], trunks: tuple[str, ...], there: str, ok: bool | None, said: str) -> None:
    settings = DomainSettings(version=1, domains=tuple(domains))
    found = list(endpoints.check(settings, trunks, frozenset(there.split())))
    assert said in found[-1].detail
    assert found[-1].ok is ok


def test_what_cannot_be_told_is_no_fault_and_is_shown() -> None:
    found = [Finding(part="kit", check="sound x", ok=None, detail="cannot be seen", mend="look")]
    assert in_order(found)
    assert to_text(found).splitlines() == [
        "?    kit: sound x — cannot be seen",
        "     → look",
        "everything is in order",
        "1 could not be checked from here: check by hand",
    ]
