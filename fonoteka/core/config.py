"""Read the configuration: one TOML file; each key also as `FONOTEKA_<SECTION>__<KEY>`.

Precedence: environment, `<key>_file`, file, default. Unknown keys, missing secrets and wrong types
raise one `ConfigurationError` that names file, key and value, but never the value of a secret.
"""

import os
import tomllib
from enum import StrEnum
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from fonoteka.core.email_address import mailbox
from fonoteka.core.errors import ConfigurationError
from fonoteka.core.manifest import AudioFormat, Layout

PREFIX: Final = "FONOTEKA_"
DATA_FOLDER: Final = Path("fonoteka-data")


def split_address(text: str) -> tuple[str, int]:
    """`host:port` taken apart; an IPv6 host stands in brackets. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError("must be host:port, for example 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def _checked_address(text: str) -> str:
    split_address(text)
    return text


def _checked_loopback(text: str) -> str:
    if text and not ip_address(split_address(text)[0]).is_loopback:
        raise ValueError("must be an address of this machine's loopback, for example 127.0.0.1:4573, or empty")
    return text


def _checked_network(text: str) -> str:
    if text != "*":
        ip_network(text, strict=False)
    return text


def _with_password(key: str, address: str, password: str) -> str:
    scheme, _, rest = address.partition("://")
    user, at, place = rest.rpartition("@")
    if scheme != "postgresql" or not user or not at or ":" in user:
        raise ValueError(f"database_password needs {key} = postgresql://USER@HOST/NAME, without a password")
    return f"{scheme}://{user}:{quote(password, safe='')}@{place}"


Address = Annotated[str, AfterValidator(_checked_address)]
LoopbackAddress = Annotated[str, AfterValidator(_checked_loopback)]
Network = Annotated[str, AfterValidator(_checked_network)]
EmailAddress = Annotated[str, AfterValidator(mailbox)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, hide_input_in_errors=False)


class PbxSection(_Section):
    """The Asterisk of this agent.

    `agi` is the address at which the agent listens for feature codes; empty: it does not listen.
    `ami_tls` connects to AMI by TLS; `ami_ca` is the file of the authority that signed Asterisk's
    certificate, by default those of the system.
    With less than `least_free_mb` megabytes free on the disk of the spool, no recording begins.
    """

    name: str = Field(default="pbx1", min_length=1, pattern=r"^[A-Za-z0-9_-]+$")
    ami: Address = "127.0.0.1:5038"
    ami_tls: bool = False
    ami_ca: Path | None = None
    ami_user: str = "fonoteka"
    agi: LoopbackAddress = "127.0.0.1:4573"
    ami_secret: SecretStr | None = None
    spool: Path = DATA_FOLDER / "spool"
    spool_in_asterisk: Path | None = None
    trunks: tuple[str, ...] = ()
    cel_journal: Path | None = None
    record_when_away: bool = False
    least_free_mb: int = Field(default=500, ge=0)

    @model_validator(mode="after")
    def _authority_of_tls(self) -> "PbxSection":
        if self.ami_ca is not None and not self.ami_tls:
            raise ValueError("ami_ca needs ami_tls = true")
        return self


class AgentSection(_Section):
    """The API to which the agent ships calls and recordings.

    `http://` to another machine needs `allow_plain_http`: the token and the recordings go there.
    With `standby` the agent waits while another agent of the same spool works, and takes over.
    """

    api: str = "http://127.0.0.1:8080"
    allow_plain_http: bool = False
    token: SecretStr | None = None
    metrics: Address | None = None
    standby: bool = False


class MixerSection(_Section):
    """The format of recordings and the number of workers."""

    workers: int = Field(default=1, ge=1, le=64)
    format: AudioFormat = AudioFormat.OPUS
    layout: Layout = Layout.STEREO


class StoreSection(_Section):
    """The index and the objects.

    `database_password` becomes part of the addresses `database` and `listen_database`. `audit_key`
    signs the audit's heads; default: beside the objects. `master_key` (base64), or the file
    `master_key_file`, protects the keys of encrypted recordings; the file is made at the first
    start, by default `master.key` beside the folder of objects. With objects in S3, `workspace` is
    the folder of unfinished recordings, beside which the keys' files are. With a pooler before
    PostgreSQL, `listen_database` is the address of PostgreSQL itself, by default `database`.
    """

    database: str = Field(default=f"sqlite:///{DATA_FOLDER}/fonoteka.db", repr=False)  # may hold a password
    listen_database: str | None = Field(default=None, repr=False)
    database_password: SecretStr | None = None
    objects: str = f"file://{DATA_FOLDER}/objects"
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    workspace: Path | None = None
    audit_key: Path | None = None
    master_key: SecretStr | None = None
    master_key_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _password_of_database(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Put `database_password` into the addresses, which are all that the store reads."""
        if (secret := given.get("database_password")) is None:
            return given
        password = secret.get_secret_value() if isinstance(secret, SecretStr) else str(secret)
        addresses = {"database": given.get("database") or "", "listen_database": given.get("listen_database")}
        completed = {key: _with_password(key, str(address), password) for key, address in addresses.items() if address is not None}
        others = {key: value for key, value in given.items() if key != "database_password"}
        return {**others, **completed}

    @model_validator(mode="after")
    def _one_master_key(self) -> "StoreSection":
        if self.master_key is not None and self.master_key_file is not None:
            raise ValueError("set master_key or master_key_file, not both")
        return self

    @model_validator(mode="after")
    def _listening_to_postgresql(self) -> "StoreSection":
        if self.listen_database is not None and not self.listen_database.startswith("postgresql:"):
            raise ValueError("listen_database is the address of a PostgreSQL")
        return self

    @model_validator(mode="after")
    def _workspace_of_s3(self) -> "StoreSection":
        if self.workspace is not None and not self.objects.startswith("s3:"):
            raise ValueError("workspace is for objects in S3; a folder of objects is its own workspace")
        return self


class ApiSection(_Section):
    """The address of the portal and the API, and the trusted proxies.

    `forwarded_allow_ips` are addresses or networks, `*` for any; forwarding headers of other
    clients are ignored. The login page shows `support_phone` and `support_email`.
    """

    listen: Address = "127.0.0.1:8080"
    forwarded_allow_ips: tuple[Network, ...] = ()
    support_phone: str = Field(default="", max_length=100)
    support_email: EmailAddress | None = None


class MailSecurity(StrEnum):
    """Encryption of the connection to the mail server: none, STARTTLS, or TLS from the start."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class MailSection(_Section):
    """The SMTP server that sends «Нужна помощь» to `support`; without `smtp` nothing is sent.

    `operator` gets letters when a disk fills up. `timeout` is in seconds.
    """

    smtp: Address | None = None
    security: MailSecurity = MailSecurity.STARTTLS
    ca_file: Path | None = None
    user: str = ""
    password: SecretStr | None = None
    from_address: EmailAddress | None = None
    support: tuple[EmailAddress, ...] = ()
    operator: tuple[EmailAddress, ...] = ()
    timeout: float = Field(default=10, gt=0, le=60)

    @model_validator(mode="after")
    def _complete(self) -> "MailSection":
        given = {"smtp": self.smtp, "from_address": self.from_address, "support": self.support}
        if any(given.values()) and (missing := [key for key, value in given.items() if not value]):
            raise ValueError(f"{' and '.join(missing)} must be set too, or none of {', '.join(given)}")
        if self.operator and not self.smtp:
            raise ValueError("smtp must be set too, or operator not")
        if bool(self.user) != (self.password is not None):
            raise ValueError("user and password must be set together")
        return self


class Configuration(_Section):
    """All sections of the file."""

    pbx: PbxSection = PbxSection()
    agent: AgentSection = AgentSection()
    mixer: MixerSection = MixerSection()
    store: StoreSection = StoreSection()
    api: ApiSection = ApiSection()
    mail: MailSection = MailSection()


_SECTIONS: Final[dict[str, type[_Section]]] = {
    "pbx": PbxSection,
    "agent": AgentSection,
    "mixer": MixerSection,
    "store": StoreSection,
    "api": ApiSection,
    "mail": MailSection,
}
_LISTS: Final = {("pbx", "trunks"), ("api", "forwarded_allow_ips"), ("mail", "support"), ("mail", "operator")}
_MADE_HERE: Final = {("store", "master_key")}  # the store reads the file, and makes it if it is missing
_SECRETS: Final = {
    (section, key)
    for section, shape in _SECTIONS.items()
    for key, field in shape.model_fields.items()
    if field.annotation == SecretStr | None
}


def load(path: Path | None, environment: dict[str, str] | None = None) -> Configuration:
    """Read the configuration; `path` None: defaults and environment. Raises ConfigurationError."""
    tree, sources = _from_file(path), dict[tuple[str, str], str]()
    _from_environment(tree, sources, os.environ if environment is None else environment)
    _secrets_from_files(tree, path)
    try:
        return Configuration.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationError(_described(error, path, sources)) from None


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from error


def _from_environment(tree: dict[str, Any], sources: dict[tuple[str, str], str], environment: Any) -> None:
    for name, value in environment.items():
        if not name.startswith(PREFIX):
            continue
        section, mark, key = name.removeprefix(PREFIX).lower().partition("__")
        if not mark:
            continue
        inside = tree.setdefault(section, {})
        if isinstance(inside, dict):
            wants_list = (section, key) in _LISTS
            inside[key] = [part.strip() for part in value.split(",") if part.strip()] if wants_list else value
            if (section, key.removesuffix("_file")) in _SECRETS:
                inside.pop(key.removesuffix("_file") if key.endswith("_file") else f"{key}_file", None)
            sources[section, key] = name


def _secrets_from_files(tree: dict[str, Any], path: Path | None) -> None:
    for section, key in _SECRETS - _MADE_HERE:
        inside = tree.get(section)
        if not isinstance(inside, dict) or f"{key}_file" not in inside:
            continue
        secret_file = Path(str(inside.pop(f"{key}_file")))
        if path is not None and not secret_file.is_absolute():
            secret_file = path.parent / secret_file
        try:
            inside[key] = secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{path or 'environment'}: {section}.{key}_file = {str(secret_file)!r} cannot be read: {error}"
            ) from error


def _described(error: ValidationError, path: Path | None, sources: dict[tuple[str, str], str]) -> str:
    """Describe the first error in one line, with the value unless it is a secret."""
    first = error.errors()[0]
    where = tuple(str(part) for part in first["loc"])
    section_key = (where[0], where[1] if len(where) > 1 else "")
    source = sources.get(section_key) or str(path or "environment")
    if first["type"] == "extra_forbidden":
        known = Configuration.model_fields
        names = _SECTIONS[where[0]].model_fields if len(where) > 1 else known
        return f"{source}: unknown key {'.'.join(where)}; known here: {', '.join(sorted(names))}"
    if len(where) == 1 and isinstance(first["input"], dict):  # a section, perhaps with a secret
        return f"{source}: [{where[0]}]: {first['msg'].removeprefix('Value error, ')}"
    value = "(secret)" if section_key in _SECRETS else repr(first["input"])
    return f"{source}: {'.'.join(where)} = {value}: {first['msg']}"


def require_secret(secret: SecretStr | None, key: str, path: Path | None) -> str:
    """Return a secret that a part requires. Raises ConfigurationError that says how to set it."""
    if secret is None or not secret.get_secret_value():
        section, _, name = key.partition(".")
        raise ConfigurationError(
            f"{path or 'environment'}: {key} is missing; set it there, in {key}_file, "
            f"or as {PREFIX}{section.upper()}__{name.upper()}"
        )
    return secret.get_secret_value()
