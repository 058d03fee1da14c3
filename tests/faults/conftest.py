"""Installations on another kind of store, for `make test-scale`."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from lab.tools import installation
from tests.support.new_stores import STORES, create_database, finish
from tests.support.radosgw import S3Server


@pytest.fixture(scope="session", autouse=True)
def _stores(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give each installation a database and a bucket of its own, if the run is for these."""
    if STORES != ("postgresql-s3",):
        yield
        return
    server: str = request.getfixturevalue("postgresql")
    bucket: S3Server = request.getfixturevalue("s3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(installation, "store_section", lambda folder: _section(server, bucket, folder))
        yield


def _section(server: str, s3: S3Server, folder: Path) -> str:
    name = f"test_{uuid4().hex}"
    finish(lambda: create_database(server, name))
    section = s3.section(f"{server}/{name}", s3.new_bucket(), folder / "objects")
    assert section.s3_access_key is not None and section.s3_secret_key is not None
    return f"""\
[store]
database = "{section.database}"
objects = "{section.objects}"
s3_access_key = "{section.s3_access_key.get_secret_value()}"
s3_secret_key = "{section.s3_secret_key.get_secret_value()}"
workspace = "{section.workspace}"
"""
