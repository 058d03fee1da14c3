"""`store.objects` of a bucket: what it means, and what is refused."""

from pathlib import Path

import pytest

from fonoteka.core.config import StoreSection, load
from fonoteka.core.errors import ConfigurationError
from store.objects.bucket_place import bucket_place, is_bucket, redirect_of
from store.objects.places import workspace_of
from store.provisioning.directory_file import parse_directory
from tests.support.own_buckets import directory

KEYS = {"s3_access_key": "who", "s3_secret_key": "s3cr3t"}
GOOD = "s3://recordings?endpoint=http://host:9000"


def place(objects: str, **keys: str) -> object:
    return bucket_place(objects, StoreSection.model_validate({"objects": objects} | (keys or KEYS)))


@pytest.mark.parametrize(
    ("objects", "said", "region"),
    [
        (GOOD, "bucket 'recordings' at http://host:9000", "us-east-1"),
        (f"{GOOD}&region=ru-1", "bucket 'recordings' at http://host:9000", "ru-1"),
        ("s3://a.b-c/?region=&endpoint=https://[::1]:443/", "bucket 'a.b-c' at https://[::1]:443", "us-east-1"),
    ],
)
def test_what_a_setting_means(objects: str, said: str, region: str) -> None:
    assert is_bucket(objects)
    found = bucket_place(objects, StoreSection.model_validate({"objects": objects} | KEYS))
    assert (str(found), found.region, found.secret_key) == (said, region, "s3cr3t")
    assert "s3cr3t" not in repr(found) and "who" not in repr(found)


REFUSED = [
    ("s3://recordings", "endpoint must be http:// or https://"),
    ("s3://recordings?endpoint=host:9000", "endpoint must be"),
    ("s3://recordings?endpoint=http://host/path", "endpoint must be"),
    (f"{GOOD}&regoin=x", "unknown parameter 'regoin'; known: endpoint, region, redirect"),
    (f"{GOOD}&region=a&region=b", "given twice"),
    (f"{GOOD}&redirect=s3.example.com", "redirect must be http:// or https://"),
    (f"{GOOD}&redirect=https://who:s3cr3t@host", "redirect must be"),
    (f"{GOOD}&redirect=https://host/x", "redirect must be"),
    (f"{GOOD}&redirect=https://host;script-src", "redirect must be"),
    (GOOD.replace("recordings", "Recordings"), "the name of a bucket"),
    (GOOD.replace("recordings", "recordings/below"), "the name of a bucket"),
    (GOOD.replace("recordings", ""), "the name of a bucket"),
    ("s3://recordings?endpoint=http://who:s3cr3t@host:9000", "the keys belong into store.s3_access_key"),
    ("s3://who:s3cr3t@recordings?endpoint=http://host:9000", "the name of a bucket"),
]


@pytest.mark.parametrize(("objects", "words"), REFUSED)
def test_what_is_refused(objects: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        place(objects)
    assert words in str(error.value) and "\n" not in str(error.value) and "s3cr3t" not in str(error.value)


@pytest.mark.parametrize(
    ("objects", "address"),
    [
        ("file:///srv/objects?redirect=https://host", None),
        (GOOD, None),
        (f"{GOOD}&redirect=https://s3.example.com:9000/", "https://s3.example.com:9000"),
    ],
)
def test_where_browsers_are_sent(objects: str, address: str | None) -> None:
    assert redirect_of(objects) == address


@pytest.mark.parametrize("missing", KEYS)
def test_a_missing_key_is_named(missing: str) -> None:
    given = {name: value for name, value in KEYS.items() if name != missing}
    with pytest.raises(ConfigurationError, match=rf"store\.{missing} is missing; set it there, in store\.{missing}_file"):
        place(GOOD, **given)


def test_the_working_folder(tmp_path: Path) -> None:
    section = {"objects": GOOD} | KEYS
    assert workspace_of(StoreSection.model_validate(section)) == Path.cwd() / "fonoteka-data/objects"
    assert workspace_of(StoreSection.model_validate(section | {"workspace": tmp_path})) == tmp_path
    assert workspace_of(StoreSection(objects=f"file://{tmp_path}/x")) == tmp_path / "x"
    file = tmp_path / "fonoteka.toml"
    file.write_text(f"[store]\nworkspace = '{tmp_path}'\n")
    with pytest.raises(ConfigurationError, match="workspace is for objects in S3"):
        load(file, {})


REFUSED_OF_DOMAINS = [
    ("file:///srv/acme", "is no bucket; for example s3://"),
    ("s3://acme-recordings", "endpoint must be http:// or https://"),
    ("s3://acme-recordings?endpoint=http://[::1", "is no address"),
    ("s3://acme-recordings?endpoint=http://host:0", "endpoint must be"),
    ("s3://acme-recordings?endpoint=http://host:99999", "is no address"),
    ("s3://acme-recordings?endpoint=http://host&key=x", "unknown parameter 'key'"),
    ("s3://acme-recordings?endpoint=http://host&redirect=http://host", "redirect belongs into store.objects"),
    ("s3://acme/../other?endpoint=http://host", "the name of a bucket"),
    ("s3://acme rec?endpoint=http://host", "should match pattern"),
    ("s3://acme-recordings?endpoint=http://who:s3cr3t@host", "the keys belong into store.s3_access_key"),
    ("", "should match pattern"),
    ("s3://" + "a" * 600, "at most 500"),
]


@pytest.mark.parametrize(("objects", "words"), REFUSED_OF_DOMAINS)
def test_what_is_refused_of_a_domain(objects: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_directory(directory(objects), source="domains.toml")
    said = str(error.value)
    assert said.startswith('domains.toml: domain "acme", objects = ') and words in said and "\n" not in said
    assert "s3cr3t" not in said
