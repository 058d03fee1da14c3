"""PgBouncer for the tests, in transaction mode, before a PostgreSQL that runs already."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PROGRAM: Final = Path("/usr/sbin/pgbouncer")
_CONFIGURATION: Final = """
[databases]
* = host=127.0.0.1 port={server_port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
; Each transaction gets another session than the one before it, if there are several.
server_round_robin = 1
max_client_conn = 500
"""


@contextmanager
def running(server: str) -> Iterator[str]:
    """Start PgBouncer before a server; yield its URL, without the name of a database."""
    assert PROGRAM.exists(), "PgBouncer is missing: sh lab/setup.sh pgbouncer"
    folder = Path(tempfile.mkdtemp(prefix="fonoteka-pgbouncer-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = folder / "pgbouncer.ini"
    file.write_text(_CONFIGURATION.format(server_port=server.rpartition(":")[2], port=port))
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    if as_postgres:
        shutil.chown(folder, "postgres", "postgres")
        shutil.chown(file, "postgres", "postgres")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*as_postgres, str(PROGRAM), str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
        )
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}"
    finally:
        process.kill()  # nothing of it is wanted later
        process.wait()
        shutil.rmtree(folder)
