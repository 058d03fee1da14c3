"""Check files: the spool as Asterisk sees it, the sounds of announcements.

Asterisk's file system is read through /proc/PID/root (agent/monitoring/spool_check.py). If this
user may not read it, the findings are unknown.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from agent.monitoring.spool_check import asterisk_root, spool_problem
from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration, split_address
from fonoteka.core.errors import FonotekaError
from fonoteka.core.spool import Spool


def spool_shared(configuration: Configuration) -> Finding:
    """Check that Asterisk sees `pbx.spool` and may write to it."""
    pbx = configuration.pbx
    spool, there = pbx.spool.absolute(), PurePosixPath((pbx.spool_in_asterisk or pbx.spool).absolute())
    address = split_address(pbx.ami)
    ok: bool | None
    try:
        Spool(spool).prepare()
        trouble = spool_problem(address, spool, there)
        ok = None if trouble is None and asterisk_root(address) is None else trouble is None
    except FonotekaError as error:
        ok, trouble = False, str(error)
    unseen = "Asterisk's process is not visible from here; the agent reports if the first legs do not appear"
    return Finding(
        part="asterisk",
        check="spool shared",
        ok=ok,
        detail=trouble or (f"Asterisk sees it and may write: {spool}" if ok else unseen),
        mend="pbx.spool and pbx.spool_in_asterisk must be one folder, writable to Asterisk and to Fonoteka",
    )


def sounds(configuration: Configuration, data: str | None, names: frozenset[str]) -> Iterator[Finding]:
    """Check that Asterisk finds these sounds, in any language and format.

    `data` is ASTDATADIR of Asterisk; None: unknown.
    """
    root = asterisk_root(split_address(configuration.pbx.ami))
    for name in sorted(names):
        place = f"{data or '/usr/share/asterisk'}/sounds/{name}.wav"
        found = _sound(root, data, name) if root is not None and data is not None else None
        unseen = root is None or data is None
        yield Finding(
            part="kit",
            check=f"sound {name}",
            ok=None if unseen else found is not None,
            detail="Asterisk's files are not visible from here" if unseen else found or f"nothing under {data}/sounds",
            mend=f"it must be at {place}, readable to Asterisk (asterisk_conf/sounds has recorded-ru and recorded-en)",
        )


def _sound(root: Path, data: str, name: str) -> str | None:
    """Return the path of a sound, or None.

    Asterisk looks for `sounds/LANGUAGE/NAME.FORMAT` and `sounds/NAME.FORMAT`; a name that begins
    with `/` is a path.
    """
    relative = PurePosixPath(name)
    folders = [Path("/")] if relative.is_absolute() else [Path(data, "sounds"), *_languages(root, Path(data, "sounds"))]
    for folder in folders:
        place = folder / name
        around = Path(f"{root}{place.parent}")
        if around.is_dir() and any(entry.stem == place.name for entry in around.iterdir()):
            return f"{place}"
    return None


def _languages(root: Path, folder: Path) -> list[Path]:
    there = Path(f"{root}{folder}")
    return [folder / entry.name for entry in sorted(there.iterdir())] if there.is_dir() else []
