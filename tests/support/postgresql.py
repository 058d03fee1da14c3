"""PostgreSQL for the tests: a temporary cluster on a free port of 127.0.0.1."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")
_ROOM_BYTES: Final = 4 * 2**30
BINARIES: Final = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/lib/postgresql/none/bin"))


@contextmanager
def running(binaries: Path) -> Iterator[str]:
    """Run a cluster; yield the URL of its server, without the name of a database."""
    assert (binaries / "initdb").exists(), "PostgreSQL is missing: sh lab/setup.sh postgresql"
    folder = Path(tempfile.mkdtemp(prefix="fonoteka-pg-", dir=_place()))
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    if as_postgres:
        shutil.chown(folder, "postgres", "postgres")
    cluster, log = folder / "cluster", folder / "log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off -c max_wal_size=256MB"

    def call(program: str, *arguments: str) -> None:
        command = [*as_postgres, str(binaries / program), "-D", str(cluster), *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)

    try:
        call("initdb", "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        call("pg_ctl", "start", "-w", "-l", str(log), "-o", settings)
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}"
        finally:
            call("pg_ctl", "stop", "-w", "-m", "immediate")
    finally:
        shutil.rmtree(folder)


def _place() -> Path | None:
    """Return the file system in memory if it has room, else None: the folder for temporary files.

    Each test copies and deletes a database of 400 files, which takes a disk four times as long.
    """
    has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES
    return _MEMORY if has_room else None
