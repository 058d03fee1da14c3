"""Words of the exports, in Russian and English. A test compares them with `portal/src/i18n`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fonoteka.core.call_report import Direction, Reason, RecordingState, Result


class Language(StrEnum):
    """Languages of the portal."""

    RU = "ru"
    EN = "en"


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """Words of one language. Dates are formats of strftime and of Excel.

    `columns` are those of the portal's list; `details` follow them in a file.
    """

    columns: tuple[str, ...]
    details: tuple[str, ...]
    direction: Mapping[Direction, str]
    result: Mapping[Result, str]
    ringing: str
    talking: str
    paused: str
    partial: str
    state: Mapping[RecordingState, str]
    reason: Mapping[Reason, str]
    calls: str
    file: str
    no_file: str
    object_missing: str
    object_damaged: str
    csv_delimiter: str
    csv_decimal: str
    csv_date: str
    excel_date: str

    @property
    def titles(self) -> tuple[str, ...]:
        """The titles of all columns of a file."""
        return (*self.columns, *self.details)


_RU: Final = Words(
    columns=("Сотрудник", "Направление", "Тип", "Откуда", "Куда", "Кем принят", "Дата", "Время", "Длительность", "Запись"),
    details=(
        "Транк",
        "Очередь",
        "Ожидание, с",
        "Качество, MOS",
        "Потери, %",
        "Говорил абонент, с",
        "Говорил сотрудник, с",
        "Тишина, с",
        "Самая долгая тишина, с",
    ),
    direction={Direction.IN: "Входящий", Direction.OUT: "Исходящий", Direction.INTERNAL: "Внутренний"},
    result={
        Result.ANSWERED: "Успешный",
        Result.NO_ANSWER: "Нет ответа",
        Result.BUSY: "Занят",
        Result.OTHER: "Иные причины",
    },
    ringing="Звонит",
    talking="Разговор",
    paused="Запись на паузе",
    partial="Запись неполная",
    state={
        RecordingState.NONE: "Записи нет",
        RecordingState.RECORDING: "Идёт запись",
        RecordingState.PROCESSING: "Готовится",
        RecordingState.READY: "Готова",
        RecordingState.PARTIAL: "Неполная",
        RecordingState.FAILED: "Запись не удалась",
        RecordingState.EXPIRED: "Срок хранения истёк",
    },
    reason={
        Reason.NOT_ANSWERED: "Разговора не было",
        Reason.USER_OFF: "Запись выключена",
        Reason.DIRECTION_OFF: "Направление не записывается",
        Reason.ON_DEMAND_NOT_ASKED: "Запись не включали",
        Reason.FORWARDED_LONG_DISTANCE: "Переадресован на межгород",
        Reason.FORWARDED_INTERNATIONAL: "Переадресован за границу",
        Reason.AGENT_WAS_DOWN: "Служба записи не работала",
        Reason.ASTERISK_FAILED: "Сбой АТС",
        Reason.NO_AUDIO: "Не было звука",
        Reason.DISK_FULL: "Не хватило места на диске",
        Reason.AUDIO_DAMAGED: "Звук повреждён",
        Reason.RETENTION: "Срок хранения истёк",
        Reason.QUOTA: "Удалена по квоте",
        Reason.STOPPED_BY_USER: "Остановлена сотрудником",
    },
    calls="Звонки",
    file="Файл",
    no_file="Почему нет файла",
    object_missing="Файла записи нет в хранилище",
    object_damaged="Файл записи в хранилище повреждён",
    csv_delimiter=";",
    csv_decimal=",",
    csv_date="%d.%m.%Y",
    excel_date="dd.mm.yyyy",
)

_EN: Final = Words(
    columns=("Employee", "Direction", "Result", "From", "To", "Answered by", "Date", "Time", "Duration", "Recording"),
    details=(
        "Trunk",
        "Queue",
        "Wait, s",
        "Quality, MOS",
        "Loss, %",
        "Outside party spoke, s",
        "Employee spoke, s",
        "Silence, s",
        "Longest silence, s",
    ),
    direction={Direction.IN: "Incoming", Direction.OUT: "Outgoing", Direction.INTERNAL: "Internal"},
    result={Result.ANSWERED: "Answered", Result.NO_ANSWER: "No answer", Result.BUSY: "Busy", Result.OTHER: "Other"},
    ringing="Ringing",
    talking="Talking",
    paused="Recording paused",
    partial="Recording is not whole",
    state={
        RecordingState.NONE: "No recording",
        RecordingState.RECORDING: "Recording",
        RecordingState.PROCESSING: "Being prepared",
        RecordingState.READY: "Ready",
        RecordingState.PARTIAL: "Not whole",
        RecordingState.FAILED: "Recording failed",
        RecordingState.EXPIRED: "Expired",
    },
    reason={
        Reason.NOT_ANSWERED: "No conversation",
        Reason.USER_OFF: "Recording is off",
        Reason.DIRECTION_OFF: "Direction not recorded",
        Reason.ON_DEMAND_NOT_ASKED: "Not asked for",
        Reason.FORWARDED_LONG_DISTANCE: "Forwarded long-distance",
        Reason.FORWARDED_INTERNATIONAL: "Forwarded abroad",
        Reason.AGENT_WAS_DOWN: "Recorder was not running",
        Reason.ASTERISK_FAILED: "The PBX failed",
        Reason.NO_AUDIO: "There was no sound",
        Reason.DISK_FULL: "Disk was full",
        Reason.AUDIO_DAMAGED: "Sound is damaged",
        Reason.RETENTION: "Expired",
        Reason.QUOTA: "Deleted by quota",
        Reason.STOPPED_BY_USER: "Stopped by the employee",
    },
    calls="Calls",
    file="File",
    no_file="Why there is no file",
    object_missing="The recording's file is not in the store",
    object_damaged="The recording's file in the store is damaged",
    csv_delimiter=",",
    csv_decimal=".",
    csv_date="%Y-%m-%d",
    excel_date="yyyy-mm-dd",
)

WORDS: Final[Mapping[Language, Words]] = {Language.RU: _RU, Language.EN: _EN}


def preferred(accept_language: str | None) -> Language:
    """Return the language that `Accept-Language` prefers (RFC 9110, 12.5.4), by default Russian."""
    weights: dict[Language, float] = {}
    for item in (accept_language or "").split(","):
        tag, *parameters = (part.strip().lower() for part in item.split(";"))
        primary = tag.partition("-")[0]
        if primary in Language.__members__.values():
            language = Language(primary)
            weights[language] = max(weights.get(language, 0.0), _weight(parameters))
    best = max(weights, key=lambda language: weights[language], default=Language.RU)
    return best if weights.get(best) else Language.RU


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return min(max(float(parameter[2:]), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
