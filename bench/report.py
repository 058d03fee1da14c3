"""The output of every benchmark: a table, and one line of JSON for programs."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The result of a benchmark. `figures` have units in their names; `ratios` are of one run."""

    name: str
    figures: Mapping[str, float]
    ratios: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()


def machine() -> str:
    """Describe the machine: usable cores, model, system, Python."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        model = next((value.strip() for key, _, value in lines if key.strip() == "model name"), model)
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies (nearest rank).

    Raises ValueError if there are no values.
    """
    if not values:
        raise ValueError("no values to take a quantile of")
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def print_result(result: Result, *, as_json: bool) -> None:
    """Print the table; with `as_json` also the JSON, as the last line."""
    print(f"{result.name}: {machine()}")
    for title, values in (("figures", result.figures), ("ratios", result.ratios)):
        print(f"  {title}")
        for key, value in values.items():
            print(f"    {key:<40} {_rounded(value):>12}")
    for note in result.notes:
        print(f"  {note}")
    if as_json:
        values_of = {
            "figures": {key: _rounded(value) for key, value in result.figures.items()},
            "ratios": {key: _rounded(value) for key, value in result.ratios.items()},
        }
        print(json.dumps({"name": result.name, "machine": machine(), **values_of, "notes": list(result.notes)}))


def _rounded(value: float) -> float:
    """Round to four significant digits; more would be noise."""
    return value if isinstance(value, int) else float(f"{value:.4g}")
