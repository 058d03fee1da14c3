"""The portal under Lighthouse, at a desk and on a telephone: `python -m bench.lighthouse [--slowdown N] [--json] [--quick]`.

The login page, and all that the menu leads an administrator to, on the calls of half a year. Its Node packages lie beside it
in `bench/browser` and are installed there when they are not; the browser is the system's, and it reaches no other host.
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
_WANTED: Final = {"performance": 95, "accessibility": 95}


def _installed() -> None:
    if not (_SCRIPT.parent / "node_modules").is_dir():
        install = [str(_NODE / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(install, cwd=_SCRIPT.parent, env=_environment(), check=True, stdout=sys.stderr)


def _environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{_NODE}:/usr/bin:/bin"}


def _yields_to_the_browser() -> None:
    """Let the API have what the browser leaves: who looks at the portal shares no processor with it."""
    for thread in threading.enumerate():
        if thread.name == SERVER and thread.native_id is not None:
            os.setpriority(os.PRIO_PROCESS, thread.native_id, 19)  # on Linux of this thread and those that it makes


def _looked_at(
    address: str,
    token: str | None,
    paths: Sequence[str] | None,
    forms: Sequence[str],
    slowdown: float | None,
    powers: Sequence[float],
) -> Iterator[dict[str, Any]]:
    """One after the other: what Lighthouse says of each page in each form. `powers` are this machine's in the looks before."""
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
    """Serve the portal and look at it; the median of three looks, with `quick` one look at a desk's.

    `slowdown`: how many times a telephone is slower than this machine; None makes any machine the same telephone.
    """
    _installed()
    forms, looks = (("desktop",), 1) if quick else (("desktop", "mobile"), 3)
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), count=_CALLS, filled=with_half_a_year()) as served:
        _yields_to_the_browser()
        credentials = {"domain": "acme", "login": "900", "password": PASSWORD}
        answer = httpx.post(f"{served.address}/api/login", json=credentials).raise_for_status()
        for _ in range(looks):
            for token, paths in ((None, ["/login"]), (answer.json()["token"], None)):
                powers = [one["power"] for of in found.values() for one in of]
                for one in _looked_at(served.address, token, paths, forms, slowdown, powers):
                    found.setdefault(f"{one['path'].strip('/') or 'calls'}_{one['form']}", []).append(one)
    figures = {
        f"{name}_{score}": median(look["scores"][score] for look in of) for name, of in found.items() for score in of[0]["scores"]
    }
    figures |= {
        f"{name}_{short}": median(look["figures"][audit] for look in of) for name, of in found.items() for audit, short in _FIGURES
    }
    everything = [look for of in found.values() for look in of]
    figures["machine_power"] = median(look["power"] for look in everything)
    figures["telephone_slowdown"] = median([look["slowdown"] for look in everything if look["form"] == "mobile"] or [1])
    failed = sorted({f"{name}: {one}" for name, of in found.items() for look in of for one in look["failed"]})
    return Result(name="lighthouse", figures=figures, notes=failed)


_FIGURES: Final = (
    ("first-contentful-paint", "first_paint_ms"),
    ("largest-contentful-paint", "largest_paint_ms"),
    ("total-blocking-time", "blocked_ms"),
    ("cumulative-layout-shift", "layout_shift"),
)


def below(result: Result) -> list[str]:
    """The scores that are lower than they ought to be."""
    return [
        f"{name} = {value:g}"
        for name, value in result.figures.items()
        for score, least in _WANTED.items()
        if name.endswith(f"_{score}") and value < least
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--quick", action="store_true", help="one look, at a desk's pages only")
    parser.add_argument(
        "--slowdown", type=float, help="of a telephone; Lighthouse's own is 4 (without: the same telephone everywhere)"
    )
    arguments = parser.parse_args()
    measured = main(arguments.quick, arguments.slowdown)
    print_result(measured, as_json=arguments.json)
    if low := below(measured):
        raise SystemExit("below 95: " + ", ".join(low))
