"""Run Lighthouse on the portal: `python -m bench.lighthouse [--slowdown N] [--json] [--quick]`.

The login page and each page of an administrator's menu, on a desktop and on a telephone, with the
calls of half a year. The Node packages are installed in `bench/browser` if they are missing. The
browser is the system's Chromium; it reaches no other host.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx

from api.dependencies.access import COOKIE
from bench.report import Result, print_result
from tests.data.seed import PASSWORD
from tests.portal.browser import CHROMIUM, FLAGS
from tests.portal.served import SERVER, serving, with_half_a_year

_SCRIPT: Final = Path(__file__).parent / "browser" / "lighthouse.mjs"
_NODE: Final = Path(sys.executable).parent
_CALLS: Final = 10_000
_WANTED: Final = {"performance": 90, "accessibility": 95}


def _installed() -> None:
    if not (_SCRIPT.parent / "node_modules").is_dir():
        install = [str(_NODE / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(install, cwd=_SCRIPT.parent, env=_environment(), check=True, stdout=sys.stderr)


def _environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{_NODE}:/usr/bin:/bin"}


def _yields_to_the_browser() -> None:
    """Run the API at low priority: a real browser does not share a processor with it."""
    for thread in threading.enumerate():
        if thread.name == SERVER and thread.native_id is not None:
            os.setpriority(os.PRIO_PROCESS, thread.native_id, 19)  # on Linux: this thread and its new threads


def _results(
    address: str,
    token: str | None,
    paths: Sequence[str] | None,
    forms: Sequence[str],
    slowdown: float | None,
    powers: Sequence[float],
) -> Iterator[dict[str, Any]]:
    """Yield the result of Lighthouse for each page in each form.

    `powers` are the measured speeds of this machine in earlier runs.
    """
    cookie = {"name": COOKIE, "value": token, "httpOnly": True, "sameSite": "Lax"} if token else None
    asked = {
        "address": address,
        "cookie": cookie,
        "paths": paths,
        "forms": forms,
        "slowdown": slowdown,
        "powers": powers,
        "chromium": CHROMIUM,
        "flags": FLAGS,
    }
    command = [str(_NODE / "node"), str(_SCRIPT), json.dumps(asked)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment()) as running:
        assert running.stdout is not None
        yield from map(json.loads, running.stdout)
    if running.returncode:
        raise SystemExit(f"{_SCRIPT.name} ended with {running.returncode}")


def main(quick: bool, slowdown: float | None) -> Result:
    """Serve the portal and measure it: the median of three runs; `quick`: one run, desktop only.

    `slowdown` is how many times a telephone is slower than this machine; None: computed from the
    speed of this machine, so that the telephone is the same everywhere.
    """
    _installed()
    forms, rounds = (("desktop",), 1) if quick else (("desktop", "mobile"), 3)
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), count=_CALLS, filled=with_half_a_year()) as served:
        _yields_to_the_browser()
        credentials = {"domain": "acme", "login": "900", "password": PASSWORD}
        answer = httpx.post(f"{served.address}/api/login", json=credentials).raise_for_status()
        for _ in range(rounds):
            for token, paths in ((None, ["/login"]), (answer.json()["token"], None)):
                powers = [run["power"] for runs in found.values() for run in runs]
                for run in _results(served.address, token, paths, forms, slowdown, powers):
                    found.setdefault(f"{run['path'].strip('/') or 'calls'}_{run['form']}", []).append(run)
    figures = {
        f"{name}_{score}": median(run["scores"][score] for run in runs)
        for name, runs in found.items()
        for score in runs[0]["scores"]
    }
    figures |= {
        f"{name}_{short}": median(run["figures"][audit] for run in runs)
        for name, runs in found.items()
        for audit, short in _FIGURES
    }
    every_run = [run for runs in found.values() for run in runs]
    figures["machine_power"] = median(run["power"] for run in every_run)
    figures["telephone_slowdown"] = median([run["slowdown"] for run in every_run if run["form"] == "mobile"] or [1])
    failed = sorted({f"{name}: {audit}" for name, runs in found.items() for run in runs for audit in run["failed"]})
    return Result(name="lighthouse", figures=figures, notes=failed)


_FIGURES: Final = (
    ("first-contentful-paint", "first_paint_ms"),
    ("largest-contentful-paint", "largest_paint_ms"),
    ("total-blocking-time", "blocked_ms"),
    ("cumulative-layout-shift", "layout_shift"),
)


def below(result: Result) -> list[str]:
    """Return the scores that are lower than required."""
    return [
        f"{name} = {value:g}"
        for name, value in result.figures.items()
        for score, least in _WANTED.items()
        if name.endswith(f"_{score}") and value < least
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--quick", action="store_true", help="one run, desktop only")
    parser.add_argument(
        "--slowdown", type=float, help="of a telephone; Lighthouse's own is 4 (without: the same telephone everywhere)"
    )
    arguments = parser.parse_args()
    measured = main(arguments.quick, arguments.slowdown)
    print_result(measured, as_json=arguments.json)
    if low := below(measured):
        raise SystemExit("below the target: " + ", ".join(low))
