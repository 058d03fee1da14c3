"""The company that phone_calls on the lab's PBX.

The people, telephone numbers and passwords of the demo and of the tests.
"""

import json
from dataclasses import dataclass, field, replace

from fonoteka.core.domains import RecordRule, Role


@dataclass(frozen=True, kw_only=True, slots=True)
class LabUser:
    """A person with a telephone.

    `number` is the outside number (DID) that rings it, None if there is none.
    """

    extension: str
    name: str
    record: RecordRule
    password: str = field(repr=False)
    number: str | None = None
    role: Role = Role.USER


@dataclass(frozen=True, kw_only=True, slots=True)
class LabCompany:
    """A domain and the numbers that lead to its menu, ring group, queue and outside.

    `duty_number` is a queue whose only member is `duty_leads_to`; `follow_number` looks for its
    user there (FollowMe).
    """

    name: str = "acme"
    suffix: str = ""  # of its contexts and its trunk on a PBX that it shares
    prefix: str = "2458"  # how its outside numbers begin
    title: str = "ООО «Акме»"
    timezone: str = "Asia/Krasnoyarsk"
    country: str = "RU"
    area_codes: tuple[str, ...] = ("391",)
    users: tuple[LabUser, ...]
    menu_number: str = "2458888"
    menu_leads_to: str = "152"
    group_number: str = "2458800"
    group: tuple[str, ...] = ("152", "130")
    queue_number: str = "2458900"
    queue: tuple[str, ...] = ("152", "421")
    duty_number: str = "2458901"
    follow_number: str = "2458902"
    duty_leads_to: str = "84951234567"
    conference: str = "8000"
    wideband: tuple[str, ...] = ("152", "421")  # whose telephones may talk G.722 as well

    @property
    def trunk(self) -> str:
        """The name of the PJSIP endpoint that leads outside."""
        return f"trunk{self.suffix}"

    def own(self, number: str) -> str:
        """What this company has for a number of ACME's; any other is itself."""
        return self.prefix + number.removeprefix(ACME.prefix) if number.startswith(ACME.prefix) else number

    def endpoint(self, extension: str) -> str:
        """The name of a user's PJSIP endpoint: `acme-152`."""
        return f"{self.name}-{extension}"


# The users of SCENARIOS: two who are recorded, one who is not, one who asks for it, one who looks
# after the company.
ACME = LabCompany(
    users=(
        LabUser(extension="152", name="Петров П.П.", record=RecordRule.ALL, password="petrov-152", number="2458152"),  # noqa: S106
        LabUser(extension="421", name="Иванова А.С.", record=RecordRule.ALL, password="ivanova-421", number="2458421"),  # noqa: S106
        LabUser(extension="130", name="Сидоров К.Н.", record=RecordRule.OFF, password="sidorov-130", number="2458130"),  # noqa: S106
        LabUser(extension="777", name="Орлова М.В.", record=RecordRule.ON_DEMAND, password="orlova-777", number="2458777"),  # noqa: S106
        LabUser(extension="900", name="Администратор", record=RecordRule.OFF, password="admin-900", role=Role.ADMIN),  # noqa: S106
    )
)


def neighbour(place: int) -> LabCompany:
    """A company like ACME on the same PBX, with the same people; `place` is from 1 to 9.

    Its numbers begin with 245.
    """
    name = f"acme{place}"
    ours = LabCompany(name=name, suffix=f"-{name}", prefix=f"245{(8 + place) % 10}", title=f"{ACME.title} {place}", users=())
    return replace(
        ours,
        users=tuple(replace(user, number=user.number and ours.own(user.number)) for user in ACME.users),
        menu_number=ours.own(ACME.menu_number),
        group_number=ours.own(ACME.group_number),
        queue_number=ours.own(ACME.queue_number),
        duty_number=ours.own(ACME.duty_number),
        follow_number=ours.own(ACME.follow_number),
    )


def apply_text(*companies: LabCompany) -> str:
    """The file that `fonoteka apply` takes, for these companies (ACME)."""
    return "\n".join(map(_domain, companies or (ACME,)))


def _domain(company: LabCompany) -> str:
    """One company's part. (JSON strings are TOML basic strings.)"""
    lines = [
        "[[domain]]",
        f"name = {_quoted(company.name)}",
        f"title = {_quoted(company.title)}",
        f"timezone = {_quoted(company.timezone)}",
        f"country = {_quoted(company.country)}",
        f"area_codes = {json.dumps(company.area_codes)}",
        "retention_days = 180",
    ]
    for user in company.users:
        lines += [
            "",
            "  [[domain.user]]",
            f"  login = {_quoted(user.extension)}",
            f"  name = {_quoted(user.name)}",
            f"  extension = {_quoted(user.extension)}",
            f"  endpoints = {json.dumps(['PJSIP/' + company.endpoint(user.extension)])}",
            f"  role = {_quoted(user.role)}",
            f"  record = {_quoted(user.record)}",
            f"  password = {_quoted(user.password)}",
        ]
    for number, label in _numbers(company):
        lines += ["", "  [[domain.number]]", f"  number = {_quoted(number)}", f"  label = {_quoted(label)}"]
    return "\n".join(lines) + "\n"


# Numbers of lab/asterisk/etc/extensions_elsewhere.conf, after the company's prefix.
_ELSEWHERE = (("910", "Операторы"), ("911", "Оператор"), ("912", "Комната"), ("913", "Громкая связь"))


def _numbers(company: LabCompany) -> list[tuple[str, str]]:
    shared = [(company.menu_number, "Главный"), (company.group_number, "Продажи"), (company.queue_number, "Поддержка")]
    shared += [(company.duty_number, "Дежурный"), (company.follow_number, "Выездная служба")]
    shared += [(f"{company.prefix}{number}", label) for number, label in _ELSEWHERE]
    return shared + [(user.number, user.name) for user in company.users if user.number]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
