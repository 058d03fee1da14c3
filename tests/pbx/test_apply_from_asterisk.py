"""`fonoteka apply --from-asterisk` on the real Asterisk.

`apply` takes what it prints, whatever the names of the telephones are.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lab.asterisk.server import LabAsterisk
from lab.tools.installation import configuration_text, fonoteka
from store.provisioning.directory_file import parse_directory

# Among them a gateway that Asterisk logs in at, a second telephone of 152's, and a name that would
# like to be more than a name.
MORE = r"""
[gate](endpoint)
outbound_auth = gate
callerid = "Acme" <73912458888>
[gate]
type = auth
auth_type = userpass
username = gate
password = p4ssw0rd-of-the-gate
[petrov-home](endpoint)
tenantid = acme
callerid = Петров П.П. <152>
[x"\n#'{}=$(id)](endpoint)
callerid = "O\"Neil \\ ]] $(id) = [[domain]]" <44>
auth = theirs
[theirs]
type = auth
auth_type = userpass
username = theirs
password = p4ssw0rd-of-theirs
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pbx(spare_pbx: LabAsterisk) -> AsyncIterator[LabAsterisk]:
    """The spare PBX with more endpoints than the lab's."""
    conf = spare_pbx.folder / "etc" / "pjsip.conf"
    before = conf.read_text(encoding="utf-8")
    conf.write_text(before + MORE, encoding="utf-8")
    await spare_pbx.cli("module reload res_pjsip.so")
    yield spare_pbx
    conf.write_text(before, encoding="utf-8")
    await spare_pbx.cli("module reload res_pjsip.so")


@pytest.fixture
def folder(pbx: LabAsterisk, tmp_path: Path) -> Path:
    """With a configuration for that PBX."""
    (tmp_path / "fonoteka.toml").write_text(configuration_text(pbx, tmp_path, "127.0.0.1:1"), encoding="utf-8")
    return tmp_path


async def test_the_file_that_is_proposed(pbx: LabAsterisk, folder: Path) -> None:
    code, out, err = await fonoteka("apply", "--from-asterisk", folder=folder)
    assert (code, err) == (0, "")
    domains = {domain.name: domain for domain in parse_directory(out, source="out").domains}
    assert set(domains) == {"acme", "company"}
    people = {user.login: user for user in domains["acme"].user}
    assert {login: user.name for login, user in people.items()} == {user.extension: user.name for user in pbx.company.users}
    assert people["152"].endpoints == ("PJSIP/acme-152", "PJSIP/petrov-home")
    (stranger,) = domains["company"].user
    assert (stranger.name, stranger.extension) == ('O"Neil \\ ]] $(id) = [[domain]]', "44")
    assert stranger.endpoints == ("PJSIP/x\"\\n#'{}=$(id)",)
    assert '# These lead outside. For the configuration, [pbx]: trunks = ["PJSIP/gate", "PJSIP/trunk"]' in out
    assert "p4ssw0rd" not in out
    assert pbx.ami_secret not in out
    assert [path.name for path in folder.iterdir()] == ["fonoteka.toml"]


async def test_what_is_proposed_can_be_applied_as_it_is(folder: Path) -> None:
    _, out, _ = await fonoteka("apply", "--from-asterisk", "--domain", "acme", folder=folder)
    (folder / "company.toml").write_text(out, encoding="utf-8")
    code, out, err = await fonoteka("apply", "company.toml", folder=folder)
    assert (code, err) == (0, "")
    assert "+ domain acme" in out
    assert "+ user acme/152" in out
    assert "company" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "takes a FILE, or --from-asterisk"),
        (("company.toml", "--from-asterisk"), "leave out FILE and --prune"),
        (("--from-asterisk", "--prune"), "leave out FILE and --prune"),
        (("company.toml", "--domain", "acme"), "--from-asterisk [--domain NAME]"),
    ],
)
async def test_what_does_not_go_together(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = await fonoteka("apply", *arguments, folder=folder)
    assert (code, out) == (2, "")
    assert said in err
