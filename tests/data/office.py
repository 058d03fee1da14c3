"""A company as large as one likes: its people with their names, its numbers, and the hours in which it telephones. Pure.

The seed's company (`tests.data.seed`) with more people and numbers: who logs in there logs in here.
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
# Of a hundred people; the others are recorded in all directions.
_RULES: Final = (RecordRule.OFF,) * 8 + (RecordRule.IN,) * 5 + (RecordRule.OUT,) * 4 + (RecordRule.ON_DEMAND,) * 5
# How many calls begin in each hour of a working day, and how much of that each day from Monday has.
_HOURS: Final = (1, 0.5, 0.4, 0.3, 0.4, 1, 3, 14, 45, 88, 100, 92, 55, 64, 90, 86, 72, 48, 22, 12, 8, 5, 3, 2)
_DAYS: Final = (1.0, 0.94, 0.9, 0.92, 0.84, 0.22, 0.06)


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """An employee as calls know them."""

    login: str
    name: str
    record: RecordRule


@dataclass(frozen=True, kw_only=True, slots=True)
class Office:
    """A company; `people` are those who telephone, the seed's first."""

    people: tuple[Person, ...]
    numbers: tuple[tuple[str, str], ...]
    zone: ZoneInfo

    def directory(self) -> str:
        """The file that `fonoteka apply` takes. Nobody can log in but the seed's people: hashing passwords takes long."""
        ours, _, other = DIRECTORY.replace("Asia/Krasnoyarsk", self.zone.key).partition(_OTHER)
        users = (
            f'\n  [[domain.user]]\n  login = "{one.login}"\n  name = "{one.name}"\n  extension = "{one.login}"\n'
            f'  endpoints = ["PJSIP/acme-{one.login}"]\n  role = "user"\n  record = "{one.record}"\n'
            for one in self.people
            if f'login = "{one.login}"' not in ours
        )
        lines = (
            f'\n  [[domain.number]]\n  number = "{number}"\n  label = "{label}"\n'
            for number, label in self.numbers
            if f'number = "{number}"' not in ours
        )
        return "".join((ours, *users, *lines, _OTHER, other))


_SEEDS: Final = (
    Person(login="152", name="Петров П.П.", record=RecordRule.ALL),
    Person(login="421", name="Солдатов Н.С.", record=RecordRule.ALL),
    Person(login="130", name="Иванова А.В.", record=RecordRule.OFF),
    Person(login="777", name="Кузнецова О.И.", record=RecordRule.ON_DEMAND),
)


def office(*, people: int = 48, numbers: int = 24, zone: str = "Asia/Krasnoyarsk") -> Office:
    """A company of so many who telephone (at least the seed's four) and so many numbers (at least 2); the same each time."""
    chance = Random(48)  # noqa: S311 (no secret)
    logins = (str(login) for login in range(200, 10_000) if str(login) not in ("421", "777", "900"))
    others = [
        Person(login=next(logins), name=_LONG[one] if one < len(_LONG) else _name(one, chance), record=_rule(one))
        for one in range(people - len(_SEEDS))
    ]
    lines = [("2458888", "Главный"), ("2458152", "Петров П.П."), *(_line(one) for one in range(numbers - 2))]
    return Office(people=(*_SEEDS, *others), numbers=tuple(lines), zone=ZoneInfo(zone))


def _name(one: int, chance: Random) -> str:
    surname = _SURNAMES[one * 7 % len(_SURNAMES)]
    return f"{surname}{'а' if one % 3 else ''} {chance.choice(_INITIALS)}.{chance.choice(_INITIALS)}."


def _rule(one: int) -> RecordRule:
    place = one * 37 % 100  # spread over the list, not in a block
    return _RULES[place] if place < len(_RULES) else RecordRule.ALL


def _line(one: int) -> tuple[str, str]:
    label = _LABELS[one] if one < len(_LABELS) else f"Линия {one + 1}"
    return f"24{60000 + one * 17:05d}", label


def moments(count: int, *, until: datetime, days: int, zone: ZoneInfo, chance: Random) -> list[datetime]:
    """When so many calls begin in the days up to a moment, the earliest first: as an office has them, at any millisecond."""
    today = until.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    each = [today - timedelta(days=back) for back in range(days)]
    of_day = chance.choices(each, [_DAYS[day.weekday()] * _season(day) for day in each], k=count)
    of_hour = chance.choices(range(24), _HOURS, k=count)
    return sorted(_earlier(zip(of_day, of_hour, strict=True), until, days, chance))


def _season(day: datetime) -> float:
    """The week after New Year nobody works; March and November are busy."""
    return 0.05 if day.month == 1 and day.day < 9 else 1.0 + 0.15 * (day.month in (3, 11))


def _earlier(drawn: Iterator[tuple[datetime, int]], until: datetime, days: int, chance: Random) -> Iterator[datetime]:
    """The moments drawn; what would come after `until` was a week ago, if that is still among the days."""
    back = timedelta(days=min(7, days))
    for day, hour in drawn:
        at = day + timedelta(hours=hour, milliseconds=chance.randrange(3_600_000))
        yield at if at <= until else max(at - back, until - timedelta(days=days))
