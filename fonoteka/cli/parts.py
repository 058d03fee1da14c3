"""Prepare the parts of `fonoteka up`: register the PBX and give its token to the agent."""

import secrets
from pathlib import Path

import structlog

from fonoteka.cli.supervisor import Part
from fonoteka.core.atomic_file import write_atomically
from fonoteka.core.config import DATA_FOLDER, Configuration, require_secret, split_address
from fonoteka.core.spool import SPOOL_LOCK

_log = structlog.get_logger()


async def parts_of_up(configuration: Configuration, source: Path | None, lock: int) -> list[Part]:
    """Return the parts to run; `lock` is the descriptor of the spool's lock, for the agent.

    Without a file and without an AMI secret these are API and mixer, and a warning is logged.
    """
    from store.database.store import Store
    from store.people.accounts import ensure_pbx

    token = configuration.agent.token.get_secret_value() if configuration.agent.token else own_token(configuration)
    store = await Store.open(configuration.store)
    try:
        await ensure_pbx(store, configuration.pbx.name, token)
    finally:
        await store.close()
    reached_at = split_address(api_address(configuration))
    api = Part(name="api", environment={}, listens=reached_at)
    parts = [api, Part(name="mixer", environment={})]
    if source is None and configuration.pbx.ami_secret is None:
        reason = "no fonoteka.toml here and no FONOTEKA_PBX__AMI_SECRET: nothing is recorded"
        _log.warning("agent.not_started", reason=reason)
        return parts
    require_secret(configuration.pbx.ami_secret, "pbx.ami_secret", source)
    environment = {
        "FONOTEKA_AGENT__TOKEN": token,
        "FONOTEKA_AGENT__API": f"http://{api_address(configuration)}",
        "FONOTEKA_AGENT__ALLOW_PLAIN_HTTP": "true",  # an address of this machine, whatever it is
        SPOOL_LOCK: str(lock),
    }
    return [*parts, Part(name="agent", environment=environment, inherits=(lock,))]


def own_token_file(configuration: Configuration) -> Path:
    """Return the path of the file in which `up` keeps the token of its PBX."""
    return DATA_FOLDER / f"{configuration.pbx.name}.agent"


def own_token(configuration: Configuration) -> str:
    """Return the token of the PBX of `up`; make it once, in a file that only this user can read."""
    path = own_token_file(configuration)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, secrets.token_urlsafe(32).encode(), sync=True)
        path.chmod(0o600)
    return path.read_text(encoding="ascii").strip()


def api_address(configuration: Configuration) -> str:
    """Return the address at which this machine reaches the API, as host:port."""
    host, port = split_address(configuration.api.listen)
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{reachable}:{port}"
