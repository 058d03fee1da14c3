"""Write audit entries as CSV, in the portal's words. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from api.exports.columns import one_line
from api.exports.csv_format import BOM, disarmed, formatted
from api.exports.labels import WORDS, Language, Words
from store.audit.read import SeenEntry


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditWords:
    """Words of one language. A test compares the actions with `portal/src/pages/audit/words.ts`."""

    columns: tuple[str, ...]
    action: Mapping[str, str]


_RU: Final = AuditWords(
    columns=("Дата", "Время", "Логин", "Имя", "Действие", "С чем", "Звонок", "Время звонка", "Подробности", "Адрес"),
    action={
        "logged_in": "Вход",
        "logged_out": "Выход",
        "session_ended": "Сеанс завершён",
        "login_failed": "Неудачный вход",
        "password_changed": "Пароль изменён",
        "listened": "Прослушивание",
        "downloaded": "Скачивание записи",
        "exported": "Выгрузка",
        "held": "Поставлен на хранение",
        "released": "Снят с хранения",
        "recordings_expired": "Записи удалены по сроку или квоте",
        "calls_expired": "Звонки удалены по сроку хранения",
        "subject_found": "Поиск данных абонента",
        "subject_exported": "Выгрузка данных абонента",
        "subject_erasure": "Начато удаление данных абонента",
        "subject_erased": "Данные абонента удалены",
        "recording_asked": "Управление записью разговора",
        "audio_refused": "Замена записи отклонена",
        "evidence_exported": "Доказательство выгружено",
        "recording_damaged": "Запись повреждена: не выдана",
        "recording_lost": "Запись утрачена",
        "peaks_remade": "График записи создан заново",
        "counters_recounted": "Статистика пересчитана",
        "file_set_aside": "Посторонний файл убран из хранилища",
        "set_aside_expired": "Посторонние файлы удалены по сроку хранения",
        "keys_rotated": "Ключи шифрования заменены",
        "user_changed": "Настройки пользователя",
        "user_added": "Пользователь добавлен",
        "user_removed": "Пользователь удалён",
        "number_added": "Номер добавлен",
        "number_changed": "Номер изменён",
        "number_removed": "Номер удалён",
        "domain_added": "Домен добавлен",
        "domain_changed": "Настройки домена",
        "domain_removed": "Домен удалён",
    },
)
_EN: Final = AuditWords(
    columns=("Date", "Time", "Login", "Name", "Action", "What with", "Call", "Time of the call", "Details", "Address"),
    action={
        "logged_in": "Login",
        "logged_out": "Logout",
        "session_ended": "Session ended",
        "login_failed": "Failed login",
        "password_changed": "Password changed",
        "listened": "Listened",
        "downloaded": "Recording downloaded",
        "exported": "Export",
        "held": "Kept for good",
        "released": "Kept no longer",
        "recordings_expired": "Recordings deleted by age or quota",
        "calls_expired": "Calls deleted by their age",
        "subject_found": "Data of an outside party looked up",
        "subject_exported": "Data of an outside party exported",
        "subject_erasure": "Erasure of an outside party's data begun",
        "subject_erased": "Data of an outside party erased",
        "recording_asked": "Recording of a talk controlled",
        "audio_refused": "Replacement of a recording refused",
        "evidence_exported": "Evidence downloaded",
        "recording_damaged": "Damaged recording not given",
        "recording_lost": "Recording lost",
        "peaks_remade": "Waveform made again",
        "counters_recounted": "Statistics counted again",
        "file_set_aside": "Stray file moved out of the store",
        "set_aside_expired": "Stray files deleted by their age",
        "keys_rotated": "Encryption keys replaced",
        "user_changed": "User's settings",
        "user_added": "User added",
        "user_removed": "User removed",
        "number_added": "Number added",
        "number_changed": "Number changed",
        "number_removed": "Number removed",
        "domain_added": "Domain added",
        "domain_changed": "Domain's settings",
        "domain_removed": "Domain removed",
    },
)
AUDIT_WORDS: Final[Mapping[Language, AuditWords]] = {Language.RU: _RU, Language.EN: _EN}


def audit_titles(language: Language) -> bytes:
    """Return the byte order mark and the header line."""
    return BOM + formatted([AUDIT_WORDS[language].columns], WORDS[language])


def audit_lines(entries: Iterable[SeenEntry], zone: ZoneInfo, language: Language) -> bytes:
    """Return entries as lines; the details are a JSON object, as in the API."""
    actions, words = AUDIT_WORDS[language].action, WORDS[language]
    return formatted((_cells(entry, zone, actions, words) for entry in entries), words)


def _cells(entry: SeenEntry, zone: ZoneInfo, actions: Mapping[str, str], words: Words) -> tuple[str, ...]:
    at = entry.at.astimezone(zone)
    call = called_at = ""
    if entry.call is not None:
        call = f"{entry.call.src} → {entry.call.dst}"
        called_at = entry.call.started_at.astimezone(zone).strftime(f"{words.csv_date} %H:%M:%S")
    details = json.dumps(entry.detail, ensure_ascii=False) if entry.detail else ""
    texts = (entry.login, entry.name or "", actions.get(entry.action, entry.action), entry.subject, call, called_at, details)
    cells = (disarmed(one_line(text)) for text in (*texts, entry.address))
    return (at.strftime(words.csv_date), at.strftime("%H:%M:%S"), *cells)
