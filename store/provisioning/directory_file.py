"""The file of `fonoteka apply`: domains, users and numbers, parsed strictly."""

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import available_timezones

import phonenumbers
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from fonoteka.core.domains import RecordRule, Role
from fonoteka.core.errors import ConfigurationError
from store.objects.bucket_place import EXAMPLE, is_bucket, problem_of, redirect_of, shown
from store.people.password_rule import broken_rule
from store.people.passwords import is_password_hash


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is no time zone; write one as in Asia/Krasnoyarsk")
    return name


def _country(code: str) -> str:
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("is no country; write ISO 3166's two capital letters, for example RU")
    return code


def _hash(password_hash: str) -> str:
    if not is_password_hash(password_hash):
        raise ValueError("is no argon2 hash; give `password` instead, or a hash that begins with $argon2")
    return password_hash


def _new_password(password: SecretStr) -> SecretStr:
    if problem := broken_rule(password.get_secret_value()):
        raise ValueError(f"{problem}; choose another one")
    return password


def _bucket(objects: str) -> str:
    problem = problem_of(objects) if is_bucket(objects) else "is no bucket"
    if problem is None and redirect_of(objects) is not None:
        problem = "redirect belongs into store.objects, for all buckets of that server"
    if problem is not None:
        raise ValueError(f"{problem}; for example {EXAMPLE}")
    return objects


_Days = Annotated[int, Field(ge=1, le=36500)]
_Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\s\x00/]+$")]
_Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
_Sound = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_./-]+$")]  # becomes a part of Dial's options
_Bucket = Annotated[str, Field(max_length=500, pattern=r"^[!-~]+$"), AfterValidator(_bucket)]
_Endpoint = Annotated[str, Field(min_length=3, max_length=200, pattern=r"^[A-Za-z0-9_]+/\S+$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WantedUser(_Table):
    """`[[domain.user]]`. `password` or `password_hash` is the first password only.

    It is set for a user without a password. Later ones are the user's own, and the operator's.
    """

    login: _Name
    name: _Title
    extension: Annotated[str, Field(max_length=64)] = ""
    endpoints: tuple[_Endpoint, ...] = ()
    role: Role = Role.USER
    record: RecordRule = RecordRule.ALL
    retention_days: _Days | None = None
    password: Annotated[SecretStr, AfterValidator(_new_password)] | None = None
    password_hash: Annotated[str, AfterValidator(_hash)] | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _one_password(self) -> "WantedUser":
        if self.password is not None and self.password_hash is not None:
            raise ValueError("password and password_hash exclude each other; keep one")
        return self


class WantedNumber(_Table):
    """`[[domain.number]]`."""

    number: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[0-9+*#A-Za-z_.-]+$")]
    label: Annotated[str, Field(max_length=200)] = ""


class WantedDomain(_Table):
    """`[[domain]]`."""

    name: _Name
    title: _Title
    timezone: Annotated[str, AfterValidator(_zone)]
    country: Annotated[str, AfterValidator(_country)] = "RU"
    area_codes: tuple[Annotated[str, Field(pattern=r"^[0-9]{1,10}$")], ...] = ()
    retention_days: _Days = 180
    calls_retention_days: _Days | None = None
    notify_email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=200)] | None = None
    notice_in: _Sound | None = None
    notice_out: _Sound | None = None
    beep_every_s: Annotated[int, Field(ge=0, le=3600)] = 0
    quota_gb: Annotated[float, Field(gt=0, le=10**6)] | None = None
    quota_recordings: Annotated[int, Field(ge=1, le=10**12)] | None = None
    objects: _Bucket | None = None
    user: tuple[WantedUser, ...] = ()
    number: tuple[WantedNumber, ...] = ()

    @model_validator(mode="after")
    def _calls_outlive_audio(self) -> "WantedDomain":
        audio_days = max([self.retention_days, *(user.retention_days or 0 for user in self.user)])
        if self.calls_retention_days is not None and self.calls_retention_days < audio_days:
            raise ValueError(
                f"calls_retention_days = {self.calls_retention_days} is shorter than a retention_days = {audio_days}: "
                "recordings go with their calls"
            )
        return self


class _File(_Table):
    domain: tuple[WantedDomain, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedDirectory:
    """The content of the file `source`."""

    source: str
    domains: tuple[WantedDomain, ...]


_KEYS: Final[dict[str, type[BaseModel]]] = {"": _File, "domain": WantedDomain, "user": WantedUser, "number": WantedNumber}


_NAMED_BY: Final = {"domain": "name", "user": "login", "number": "number"}


def parse_directory_file(path: Path) -> WantedDirectory:
    """Parse a file. Raises ConfigurationError with the file, the key and the value, in one line."""
    try:
        return parse_directory(path.read_text(encoding="utf-8"), source=str(path))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8: {error}") from error


def parse_directory(text: str, *, source: str) -> WantedDirectory:
    """Parse the text of a file. Raises ConfigurationError, which begins with `source`."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{source}: not valid TOML: {error}") from error
    try:
        wanted = WantedDirectory(source=source, domains=_File.model_validate(tree).domain)
    except ValidationError as error:
        raise ConfigurationError(f"{source}: {_message(error, tree)}") from None
    if clash := next(_clashes(wanted.domains), None):
        raise ConfigurationError(f"{source}: {clash}")
    return wanted


def _clashes(domains: tuple[WantedDomain, ...]) -> Iterator[str]:
    """Yield conflicts between entries that are valid alone."""
    for name in _duplicates(domain.name for domain in domains):
        yield f'two domains have name = "{name}"; rename or remove one'
    for domain in domains:
        for login in _duplicates(user.login for user in domain.user):
            yield f'two users of domain "{domain.name}" have login = "{login}"; rename or remove one'
        for extension in _duplicates(user.extension for user in domain.user if user.extension):
            yield f'two users of domain "{domain.name}" have extension = "{extension}"; give each its own'
        for number in _duplicates(line.number for line in domain.number):
            yield f'domain "{domain.name}" has number = "{number}" twice; remove one'
    for bucket in _duplicates(domain.objects for domain in domains if domain.objects):
        both = " and ".join(f'"{domain.name}"' for domain in domains if domain.objects == bucket)
        yield f'objects = "{bucket}" is of domains {both}; each needs a bucket of its own'
    owners = [
        (endpoint, f"{domain.name}/{user.login}") for domain in domains for user in domain.user for endpoint in user.endpoints
    ]
    for endpoint in _duplicates(endpoint for endpoint, _ in owners):
        both = " and ".join(owner for other, owner in owners if other == endpoint)
        yield f'endpoint "{endpoint}" is in endpoints of {both}; a channel belongs to one user, take it from the other'


def _duplicates(values: Iterable[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def _message(error: ValidationError, tree: Any) -> str:
    """Describe the first error: place, value (never a password), and what is expected."""
    first = error.errors()[0]
    absent = first["type"] in ("missing", "extra_forbidden")  # then the file has no such place
    where, table = _place(first["loc"][:-1] if absent else first["loc"], tree)
    where = where or "at the top"
    key = str(first["loc"][-1]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key {key}; known here: {', '.join(sorted(_KEYS[table].model_fields))}"
    if first["type"] == "missing":
        return f"{where}: {key} is missing"
    message = first["msg"].removeprefix("Value error, ")
    if "password" in str(first["loc"]) or (first["type"] == "value_error" and isinstance(first["input"], dict)):
        return f"{where}: {message}"
    value = shown(first["input"]) if key == "objects" and isinstance(first["input"], str) else first["input"]
    return f"{where} = {value!r}: {message}"


def _place(location: tuple[int | str, ...], tree: Any) -> tuple[str, str]:
    """Return a place such as `domain "acme", user "152", record`, and the kind of its table."""
    words: list[str] = []
    table, here = "", tree
    for step in location:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
        if isinstance(step, str):
            words.append(step)
            table = step if step in _KEYS and isinstance(here, list) else table
        else:
            words[-1] += f' "{here[_NAMED_BY[table]]}"' if _is_named(here, table) else f"[{step}]"
    return ", ".join(words), table


def _is_named(here: object, table: str) -> bool:
    return isinstance(here, dict) and _NAMED_BY.get(table) in here
