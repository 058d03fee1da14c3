"""A company of any size: its users, its numbers and its hours of calls. Pure.

It is the company of `tests.data.seed`, with the same logins and more users and numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from fonoteka.core.domains import RecordRule
from tests.data.seed import DIRECTORY

_OTHER: Final = '\n[[domain]]\nname = "other"'
_SURNAMES: Final = (
    "Смирнов", "Иванов", "Кузнецов", "Соколов", "Попов", "Лебедев", "Козлов", "Новиков", "Морозов", "Волков", "Соловьёв",
    "Васильев", "Зайцев", "Павлов", "Семёнов", "Голубев", "Виноградов", "Богданов", "Воробьёв", "Фёдоров", "Михайлов",
    "Беляев", "Тарасов", "Белов", "Комаров", "Орлов", "Киселёв", "Макаров", "Андреев", "Ковалёв", "Ильин", "Гусев", "Титов",
    "Кудрявцев", "Баранов", "Куликов", "Алексеев", "Степанов", "Яковлев", "Сорокин", "Сергеев", "Романов", "Захаров",
    "Борисов",
)  # fmt: skip
_INITIALS: Final = "АБВГДЕИКЛМНОПРСТЮЯ"
_LONG: Final = (
    "Константинопольская-Задунайская Александра Владимировна, заместитель начальника отдела продаж",
    "Мамин-Сибиряк Д.Н.",
    "ИП Штольц & сыновья <приёмная>",
)
_LABELS: Final = (
    "Отдел продаж", "Бухгалтерия", "Склад", "Сервис", "Приёмная", "Отдел кадров", "Доставка", "Гарантийный ремонт",
    "Юридический отдел", "Горячая линия для постоянных покупателей и партнёров по всей Сибири",
)  # fmt: skip
# Of a hundred users; the others are recorded in both directions.
_RULES: Final = (RecordRule.OFF,) * 8 + (RecordRule.IN,) * 5 + (RecordRule.OUT,) * 4 + (RecordRule.ON_DEMAND,) * 5
# Weights of the hours of a working day, and of the days from Monday.
_HOURS: Final = (1, 0.5, 0.4, 0.3, 0.4, 1, 3, 14, 45, 88, 100, 92, 55, 64, 90, 86, 72, 48, 22, 12, 8, 5, 3, 2)
_DAYS: Final = (1.0, 0.94, 0.9, 0.92, 0.84, 0.22, 0.06)


@dataclass(frozen=True, kw_only=True, slots=True)
class OfficeUser:
    """A user who makes and takes calls."""

    login: str
    name: str
    record: RecordRule


@dataclass(frozen=True, kw_only=True, slots=True)
class Office:
    """A company; `people` begins with the users of the seed."""

    people: tuple[OfficeUser, ...]
    numbers: tuple[tuple[str, str], ...]
    zone: ZoneInfo

    def directory(self) -> str:
        """Make the file for `fonoteka apply`. Only users of the seed have passwords."""
        ours, _, other = DIRECTORY.replace("Asia/Krasnoyarsk", self.zone.key).partition(_OTHER)
        users = (
            f'\n  [[domain.user]]\n  login = "{user.login}"\n  name = "{user.name}"\n  extension = "{user.login}"\n'
            f'  endpoints = ["PJSIP/acme-{user.login}"]\n  role = "user"\n  record = "{user.record}"\n'
            for user in self.people
            if f'login = "{user.login}"' not in ours
        )
        lines = (
            f'\n  [[domain.number]]\n  number = "{number}"\n  label = "{label}"\n'
            for number, label in self.numbers
            if f'number = "{number}"' not in ours
        )
        return "".join((ours, *users, *lines, _OTHER, other))


_SEED_USERS: Final = (
    OfficeUser(login="152", name="Петров П.П.", record=RecordRule.ALL),
    OfficeUser(login="421", name="Солдатов Н.С.", record=RecordRule.ALL),
    OfficeUser(login="130", name="Иванова А.В.", record=RecordRule.OFF),
    OfficeUser(login="777", name="Кузнецова О.И.", record=RecordRule.ON_DEMAND),
)


def office(*, people: int = 48, numbers: int = 24, zone: str = "Asia/Krasnoyarsk") -> Office:
    """Make a company with at least four users and two numbers, reproducibly."""
    chance = Random(48)  # noqa: S311 (no secret)
    logins = (str(login) for login in range(200, 10_000) if str(login) not in ("421", "777", "900"))
    others = [
        OfficeUser(login=next(logins), name=_LONG[place] if place < len(_LONG) else _name(place, chance), record=_rule(place))
        for place in range(people - len(_SEED_USERS))
    ]
    lines = [("2458888", "Главный"), ("2458152", "Петров П.П."), *(_line(place) for place in range(numbers - 2))]
    return Office(people=(*_SEED_USERS, *others), numbers=tuple(lines), zone=ZoneInfo(zone))


def _name(place: int, chance: Random) -> str:
    surname = _SURNAMES[place * 7 % len(_SURNAMES)]
    return f"{surname}{'а' if place % 3 else ''} {chance.choice(_INITIALS)}.{chance.choice(_INITIALS)}."


def _rule(place: int) -> RecordRule:
    percent = place * 37 % 100  # spreads the rules over the list
    return _RULES[percent] if percent < len(_RULES) else RecordRule.ALL


def _line(place: int) -> tuple[str, str]:
    label = _LABELS[place] if place < len(_LABELS) else f"Линия {place + 1}"
    return f"24{60000 + place * 17:05d}", label


def moments(count: int, *, until: datetime, days: int, zone: ZoneInfo, chance: Random) -> list[datetime]:
    """Draw the sorted starts of calls in the days before a moment, in office hours mostly."""
    today = until.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    each = [today - timedelta(days=back) for back in range(days)]
    of_day = chance.choices(each, [_DAYS[day.weekday()] * _season(day) for day in each], k=count)
    of_hour = chance.choices(range(24), _HOURS, k=count)
    return sorted(_earlier(zip(of_day, of_hour, strict=True), until, days, chance))


def _season(day: datetime) -> float:
    """Return the weight of a day: low after New Year, high in March and November."""
    return 0.05 if day.month == 1 and day.day < 9 else 1.0 + 0.15 * (day.month in (3, 11))


def _earlier(drawn: Iterator[tuple[datetime, int]], until: datetime, days: int, chance: Random) -> Iterator[datetime]:
    """Yield the drawn moments, a week earlier if they are after `until`."""
    back = timedelta(days=min(7, days))
    for day, hour in drawn:
        at = day + timedelta(hours=hour, milliseconds=chance.randrange(3_600_000))
        yield at if at <= until else max(at - back, until - timedelta(days=days))
