"""A real S3 server for the tests: Ceph's radosgw, on a free port of 127.0.0.1.

One monitor, one storage daemon that keeps everything in memory, and the gateway, in a Debian root
that is built once: Debian 12 and 13 have older ones without half of S3.
"""

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from minio import Minio
from urllib3 import PoolManager, Retry

from fonoteka.core.config import StoreSection
from lab.base.debian_root import DebianRoot, built

ROOT: Final = DebianRoot(
    name="radosgw",
    suite="forky",
    recipe=(
        "--variant=minbase",
        '--aptopt=Acquire::Check-Valid-Until "false"',
        "--include=radosgw,ceph-mon,ceph-osd,ceph-common",
    ),
    cost="three minutes, 700 MB",
)
ACCESS_KEY: Final = "tests"
SECRET_KEY: Final = "a-secret-of-the-tests"

_CONFIGURATION: Final = """
[global]
fsid = {cluster}
mon_host = [v2:127.0.0.1:{monitor_port}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
mon_data_avail_warn = 2
run_dir = {folder}/run
admin_socket = {folder}/run/$name.asok
log_file = {folder}/log/$name.log
crash_dir = {folder}/run
[mon]
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_data = {folder}/mon
[osd]
keyring = {folder}/osd/keyring
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 2147483648
osd_class_default_list = *
osd_class_load_list = *
[client]
keyring = {folder}/keyring
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_data = {folder}/rgw
rgw_thread_pool_size = 32
rgw_enable_usage_log = false
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Server:
    """A running server."""

    port: int
    processes: tuple[subprocess.Popen[bytes], ...] = ()

    def client(self) -> Minio:
        """Return a client that gives up at once."""
        pool = PoolManager(timeout=30, retries=Retry(total=0))
        return Minio(
            endpoint=f"127.0.0.1:{self.port}",
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            secure=False,
            region="us-east-1",
            http_client=pool,
        )

    def new_bucket(self, *, object_lock: bool = False) -> str:
        """Make a bucket, and return its name."""
        name = f"test-{uuid4().hex}"
        self.client().make_bucket(name, object_lock=object_lock)
        return name

    def deny(self, bucket: str, action: str) -> None:
        """Take a right in a bucket from everybody, and give back the others."""
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        statement = {"Effect": "Deny", "Principal": "*", "Action": [action], "Resource": resources}
        self.client().set_bucket_policy(bucket, json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    def section(self, database: str, bucket: str, workspace: Path, *, port: int | None = None) -> StoreSection:
        """Return the settings of a store, perhaps through a proxy at another port."""
        return StoreSection.model_validate(
            {
                "database": database,
                "objects": f"s3://{bucket}?endpoint=http://127.0.0.1:{port or self.port}",
                "s3_access_key": ACCESS_KEY,
                "s3_secret_key": SECRET_KEY,
                "workspace": workspace,
            }
        )


def with_keys(section: StoreSection) -> StoreSection:
    """Return the settings of a store with the keys of the server."""
    return StoreSection.model_validate(section.model_dump() | {"s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY})


@contextmanager
def running() -> Iterator[S3Server]:
    """Run a server."""
    root = built(ROOT)
    (root / "srv").mkdir(exist_ok=True)
    real = Path(tempfile.mkdtemp(prefix="ceph-", dir=root / "srv"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, real)
        cluster = _Cluster(root=root, folder=Path("/") / real.relative_to(root))
        yield cluster.start(stack)


class _Cluster:
    def __init__(self, *, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        self._port, monitor_port = _free_ports(2)
        self._cluster = str(uuid4())
        self._monitor = f"[v2:127.0.0.1:{monitor_port}]"
        real = self._real = root / folder.relative_to("/")
        for name in ("mon", "osd", "run", "log", "rgw"):
            (real / name).mkdir()
        text = _CONFIGURATION.format(cluster=self._cluster, folder=folder, port=self._port, monitor_port=monitor_port)
        (real / "ceph.conf").write_text(text)

    def start(self, stack: ExitStack) -> S3Server:
        """Start everything; the stack stops it, the gateway first."""
        keyring, osd = f"{self._folder}/keyring", str(uuid4())
        self._call("monmaptool", "--create", "--fsid", self._cluster, "--addv", "a", self._monitor, f"{self._folder}/monmap")
        self._call("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        caps = [word for part in ("mon", "osd", "mgr") for word in ("--cap", part, "allow *")]
        self._call("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *caps)
        self._ceph("ceph-mon", "--mkfs", "-i", "a", "--monmap", f"{self._folder}/monmap", "--keyring", keyring)
        monitor = self._daemon(stack, "ceph-mon", "-i", "a")
        self._ceph("ceph", "osd", "new", osd)
        profile = ("mon", "allow profile osd", "osd", "allow *")
        self._ceph("ceph", "auth", "get-or-create", "osd.0", *profile, "-o", f"{self._folder}/osd/keyring")
        self._ceph("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        storage = self._daemon(stack, "ceph-osd", "-i", "0")
        keys = ("--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
        self._ceph("radosgw-admin", "user", "create", "--uid", "tests", "--display-name", "tests", *keys)
        gateway = self._daemon(stack, "radosgw", "-n", "client.admin", "--keyring", keyring)
        server = S3Server(port=self._port, processes=(monitor, storage, gateway))
        _wait_for(server, gateway)
        return server

    def _ceph(self, program: str, *arguments: str) -> None:
        self._call(program, "-c", f"{self._folder}/ceph.conf", *arguments)

    def _call(self, *command: str) -> None:
        done = subprocess.run(["chroot", str(self._root), *command], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def _daemon(self, stack: ExitStack, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a daemon that ends with this process."""
        command = ["setpriv", "--pdeathsig", "KILL", "chroot", str(self._root), program, "-f"]
        with (self._real / "log" / f"{program}.out").open("wb") as log:
            process = subprocess.Popen(
                [*command, "-c", f"{self._folder}/ceph.conf", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        stack.callback(process.wait)
        stack.callback(process.kill)  # nothing of it is wanted later
        return process


def _wait_for(server: S3Server, gateway: subprocess.Popen[bytes]) -> None:
    """Wait until the gateway answers."""
    client = Minio(
        endpoint=f"127.0.0.1:{server.port}",
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        secure=False,
        region="us-east-1",
        http_client=PoolManager(timeout=60, retries=Retry(total=600, backoff_factor=0.05, backoff_max=0.1)),
    )
    client.list_buckets()
    assert gateway.poll() is None


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


if __name__ == "__main__":
    built(ROOT)  # before the tests, which have a time limit each
