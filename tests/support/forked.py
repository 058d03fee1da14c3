"""Child processes that find the product loaded: to load it takes a program two seconds.

They are forked from one process of each run of pytest, which has imported it and done nothing else.
Tests of the command `fonoteka` itself start it as its users do.
"""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("tests.support.forked", "fonoteka.cli.main", "api.serve", "store.database.postgres_signals", "uvloop"),
        *("tests.support.dying", "store.retention.run", "store.backup.backup", "store.rekeying"),
    ]
)


def start_command(arguments: Sequence[str], folder: Path, output: Path) -> ForkServerProcess:
    """Start the command `fonoteka` in a folder; what it prints goes to a file."""
    process = CONTEXT.Process(target=_run, args=(list(arguments), folder, output))
    process.start()
    return process


def _run(arguments: list[str], folder: Path, output: Path) -> None:
    from fonoteka.cli.main import main

    with output.open("wb") as written:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(written.fileno(), stream.fileno())
    os.chdir(folder)
    sys.argv = ["fonoteka", *arguments]
    try:
        main()
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    finally:
        sys.stdout.flush()
