"""Errors of the configuration: one line with file, key and value, never a secret."""

from pathlib import Path

import pytest

from fonoteka.core.config import Configuration, load, require_secret
from fonoteka.core.errors import ConfigurationError


def written(folder: Path, text: str) -> Path:
    path = folder / "fonoteka.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_hold_without_a_file() -> None:
    assert load(None, {}) == Configuration()
    assert load(None, {}).api.listen == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ("[pbx\n", {}, ("fonoteka.toml", "not valid TOML")),
        ("[pbx]\nnmae = 'x'", {}, ("fonoteka.toml", "unknown key pbx.nmae", "ami_secret")),
        ("[nonsense]\na = 1", {}, ("fonoteka.toml", "unknown key nonsense", "mixer, pbx")),
        ("[mixer]\nworkers = 'many'", {}, ("fonoteka.toml", "mixer.workers = 'many'", "integer")),
        ("[mixer]\nformat = 'ogg'", {}, ("fonoteka.toml", "mixer.format = 'ogg'", "opus")),
        ("[pbx]\nami = 'nowhere'", {}, ("fonoteka.toml", "pbx.ami = 'nowhere'", "host:port")),
        ("[pbx]\nagi = '10.0.0.1:4573'", {}, ("pbx.agi = '10.0.0.1:4573'", "loopback")),
        ("[pbx]\nagi = 'x'", {}, ("pbx.agi = 'x'", "host:port")),
        ("[pbx]\nname = 'a b'", {}, ("pbx.name = 'a b'",)),
        ("[pbx]\nami_secret = 12345", {}, ("pbx.ami_secret = (secret)",)),
        ("[pbx]\nami_secret_file = '/does/not/exist'", {}, ("pbx.ami_secret_file", "/does/not/exist", "cannot be read")),
        ("", {"FONOTEKA_API__LISTEN": "8080"}, ("FONOTEKA_API__LISTEN", "api.listen = '8080'")),
        ("[api]\nforwarded_allow_ips = ['proxy']", {}, ("api.forwarded_allow_ips.0 = 'proxy'", "IPv4 or IPv6")),
        ("[mail]\nsmtp = 'mail:25'", {}, ("[mail]: from_address and support must be set too",)),
        (
            "[mail]\nsmtp = 'mail:25'\npassword = '12345'\nsupport = ['a@b.c']\nfrom_address = 'a@b.c'",
            {},
            ("[mail]: user and password must be set together",),
        ),
        ("[store]\ndatabase_password = '12345'", {}, ("[store]: database_password needs database = postgresql://",)),
        ("[store]\ndatabase = 'postgresql://a:b@c/d'\ndatabase_password = '12345'", {}, ("without a password",)),
        ("[mail]\nsupport = ['nobody']", {}, ("mail.support.0 = 'nobody'", "must be an e-mail address")),
        ('[mail]\nfrom_address = "a@b.c\\r\\nBcc: x@y.z"', {}, ("mail.from_address", "must be an e-mail address")),
        ("[mail]\nsecurity = 'ssl'", {}, ("mail.security = 'ssl'", "starttls")),
        ("", {"FONOTEKA_API__LISTN": "x:1"}, ("FONOTEKA_API__LISTN", "unknown key api.listn")),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, environment: dict[str, str], said: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError) as error:
        load(written(tmp_path, text), environment)
    line = str(error.value)
    assert "\n" not in line
    assert "12345" not in line
    for part in said:
        assert part in line


def test_the_password_of_the_database_can_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/w:rd\n")
    text = "[store]\ndatabase = 'postgresql://fonoteka@pooler/calls'\nlisten_database = 'postgresql://fonoteka@db/calls'\n"
    store = load(written(tmp_path, f"{text}database_password_file = 'password'"), {}).store
    assert store.database == "postgresql://fonoteka:p%40ss%2Fw%3Ard@pooler/calls"
    assert store.listen_database == "postgresql://fonoteka:p%40ss%2Fw%3Ard@db/calls"
    assert "p%40ss" not in repr(store)


def test_environment_wins_over_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[pbx]\nname = 'from-file'\nami_secret = 'in-file'\ntrunks = ['PJSIP/a']")
    environment = {"FONOTEKA_PBX__NAME": "from-env", "FONOTEKA_PBX__TRUNKS": "PJSIP/b, PJSIP/c"}
    configuration = load(path, environment)
    assert (configuration.pbx.name, configuration.pbx.trunks) == ("from-env", ("PJSIP/b", "PJSIP/c"))


def test_proxies_are_addresses_and_networks() -> None:
    environment = {"FONOTEKA_API__FORWARDED_ALLOW_IPS": "127.0.0.1, 10.0.0.0/8, ::1, *"}
    assert load(None, environment).api.forwarded_allow_ips == ("127.0.0.1", "10.0.0.0/8", "::1", "*")


def test_a_secret_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n", encoding="utf-8")
    configuration = load(written(tmp_path, "[pbx]\nami_secret_file = 'secret'"), {})
    assert require_secret(configuration.pbx.ami_secret, "pbx.ami_secret", None) == "s3cret"
    assert "s3cret" not in repr(configuration)


def test_an_environment_secret_replaces_the_files(tmp_path: Path) -> None:
    path = written(tmp_path, "[pbx]\nami_secret_file = '/does/not/exist'")
    configuration = load(path, {"FONOTEKA_PBX__AMI_SECRET": "here"})
    assert require_secret(configuration.pbx.ami_secret, "pbx.ami_secret", path) == "here"


def test_a_database_password_is_not_in_the_repr(tmp_path: Path) -> None:
    configuration = load(written(tmp_path, "[store]\ndatabase = 'postgresql://u:pa55@host/db'"), {})
    assert "pa55" not in repr(configuration)


def test_a_missing_secret_names_its_key() -> None:
    with pytest.raises(ConfigurationError, match=r"pbx\.ami_secret is missing.*FONOTEKA_PBX__AMI_SECRET"):
        require_secret(None, "pbx.ami_secret", None)


def test_a_list_and_a_secret_of_mail_come_from_the_environment_too(tmp_path: Path) -> None:
    secret = tmp_path / "mail.password"
    secret.write_text("12345\n")
    environment = {
        "FONOTEKA_MAIL__SMTP": "mail.acme.local:465",
        "FONOTEKA_MAIL__SECURITY": "tls",
        "FONOTEKA_MAIL__USER": "fonoteka",
        "FONOTEKA_MAIL__PASSWORD_FILE": str(secret),
        "FONOTEKA_MAIL__FROM_ADDRESS": "fonoteka@acme.local",
        "FONOTEKA_MAIL__SUPPORT": "help@acme.local, second@поддержка.рф",
    }
    mail = load(None, environment).mail
    assert mail.support == ("help@acme.local", "second@xn--80ahaefyxhn.xn--p1ai")
    assert mail.password is not None and mail.password.get_secret_value() == "12345" and "12345" not in repr(mail)
