"""Run the whole suite in two lanes side by side: `python -m tests.run` (what `make test` calls).

The tests on a real Asterisk mostly wait for telephones; the other lane uses the processors
meanwhile. All parts run, whatever fails; the exit code is 1 if any part failed. Each part writes
`build/junit-PART.xml`, which holds the time of every test.
"""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
_REPORTS: Final = _ROOT / "build"
_BY_FILE: Final = ("--dist", "loadfile", "--numprocesses")
_PARTS: Final = {
    "pbx": ("tests/faults", "tests/lab", "tests/pbx"),
    "code": (*_BY_FILE, "3", "tests/unit", "tests/docs", "tests/store", "tests/api", "tests/intruder"),
    "portal": (*_BY_FILE, "2", "tests/portal"),
}
_LANES: Final = (("pbx",), ("code", "portal"))
# Telephones and their tests come before all other work of the machine. Chromium, started by root,
# would raise its own priority: without CAP_SYS_NICE it cannot.
_PREFIX: Final = {
    "pbx": ("nice", "-n", "-10"),
    "code": (),
    "portal": ("setpriv", "--bounding-set=-sys_nice") if os.getuid() == 0 else (),
}


def _run(part: str) -> tuple[str, int, str]:
    """Run a part and print its output line by line; returns its name, exit code and last line."""
    command = [sys.executable, "-m", "pytest", "--durations=50", f"--junitxml={_report(part)}", *_PARTS[part]]
    last = "no output"
    # Hundreds of processes are started: without byte code each would compile the product again.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        [*_PREFIX[part], *command],
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{part:<6} | {line}", end="", flush=True)
            last = line.strip() or last
    return part, process.returncode, last


def _run_lane(parts: tuple[str, ...]) -> list[tuple[str, int, str]]:
    return [_run(part) for part in parts]


def _cases(part: str) -> list[ElementTree.Element]:
    """Return the tests in the report of a part; none where it wrote no report."""
    try:
        return list(ElementTree.parse(_report(part)).iter("testcase"))  # noqa: S314 (written by pytest)
    except (OSError, ElementTree.ParseError):
        return []


def _outcome(case: ElementTree.Element) -> str:
    tags = {child.tag for child in case}
    return "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"


def _first_error(case: ElementTree.Element) -> str:
    """Name a failed test, with the first line of its error."""
    error = next(child for child in case if child.tag in ("failure", "error"))
    return f"{case.get('classname')}::{case.get('name')}: {error.get('message', '').partition(chr(10))[0]}"


def _report(part: str) -> Path:
    return _REPORTS / f"junit-{part}.xml"


def main() -> int:
    """Run all parts, print how each ended; returns the exit code."""
    _REPORTS.mkdir(exist_ok=True)
    for part in _PARTS:
        _report(part).unlink(missing_ok=True)
    began = time.monotonic()
    with ThreadPoolExecutor(len(_LANES)) as lanes:
        ends = [end for lane in lanes.map(_run_lane, _LANES) for end in lane]
    print(f"\nAfter {time.monotonic() - began:.0f} s on {os.cpu_count()} processors:")
    for part, code, last in ends:
        print(f"{part:<6} {'passed' if code == 0 else f'FAILED ({code})'}: {last.strip('= ')}")
    cases = [case for part in _PARTS for case in _cases(part)]
    for case in cases:
        if _outcome(case) == "failed":
            print("FAILED", _first_error(case))
    counts = Counter(map(_outcome, cases))
    print("total:", ", ".join(f"{counts[kind]} {kind}" for kind in ("passed", "failed", "skipped")))
    return int(any(code != 0 for _, code, _ in ends))


if __name__ == "__main__":
    sys.exit(main())
