"""Files are written in one step, also if the draft's name is taken."""

import os
import stat
from pathlib import Path

import pytest

from fonoteka.core.atomic_file import drafted, write_atomically


@pytest.mark.parametrize("sync", [True, False])
def test_a_file_is_written_and_replaced_and_no_draft_stays(tmp_path: Path, sync: bool) -> None:
    for content in (b"first", b"second, longer", b""):
        write_atomically(tmp_path / "file.json", content, sync=sync)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file.json": content}


@pytest.mark.parametrize("name", [".file.json.new", "file.json"])
def test_a_link_put_in_its_way_is_not_written_through(tmp_path: Path, name: str) -> None:
    target, spool = tmp_path / "target", tmp_path / "spool"
    target.write_bytes(b"untouched")
    spool.mkdir()
    (spool / name).symlink_to(target)
    write_atomically(spool / "file.json", b"new", sync=False)
    assert target.read_bytes() == b"untouched"
    assert {path.name: (path.is_symlink(), path.read_bytes()) for path in spool.iterdir()} == {"file.json": (False, b"new")}


def test_what_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "x", b"old", sync=False)
    with pytest.raises(EOFError), drafted(tmp_path / "x", tmp_path / ".x.new", sync=True) as file:
        file.write(b"half")
        raise EOFError
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"old"}


def test_the_world_reads_none_of_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_atomically(tmp_path / "x", b"talk", sync=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o660
