"""How large an installation must be: `python -m bench.capacity [--calls-per-day N …]`.

Prints the table of docs/capacity.md, from figures of docs/benchmarks.md and from assumptions about
the calls, which the options change.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

CALLS_PER_DAY: Final = (1_000, 10_000, 100_000, 1_000_000)

# Of the format, and of the spool: 24 kbit/s of Opus; two legs of 16 bits at 8 kHz.
_ENCODED_BYTES_PER_S: Final = 24_000 / 8
_LEGS_BYTES_PER_S: Final = 2 * 8_000 * 2

# Measured; docs/benchmarks.md, where the words in quotes stand.
MEASURED: Final = {
    "mixer: CPU s for an hour of talk": (5.4, "| one-hour call, CPU s | 5.4 |"),
    "agent: CPU s for 1,000 calls": (20.7, "| agent's CPU for 1,000 calls, s | 20.7 | |"),
    "API, of a core, at 500 calls in 117 s": (0.16, "| Asterisk, mixer, API, telephones, of a core | 53, 17, 16, 13 % | |"),
    "API: CPU ms to store a recording of 3 minutes": (64.7, "| store | 61.9 | 64.7 |"),
    "index: bytes for a call, SQLite": (933, "933 bytes a call"),
}
_MIXER_S_PER_HOUR: Final = MEASURED["mixer: CPU s for an hour of talk"][0]
_AGENT_S_PER_CALL: Final = MEASURED["agent: CPU s for 1,000 calls"][0] / 1_000
_API_S_PER_CALL: Final = MEASURED["API, of a core, at 500 calls in 117 s"][0] * 117 / 500
_API_S_PER_RECORDING: Final = MEASURED["API: CPU ms to store a recording of 3 minutes"][0] / 1_000
_INDEX_BYTES_PER_CALL: Final = MEASURED["index: bytes for a call, SQLite"][0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumptions:
    """What the calls are like, and what storage costs."""

    recorded: float = 0.7  # share of calls with a recording
    talk_s: float = 180
    busiest_hour: float = 0.15  # share of the day's calls
    retention_days: int = 180  # of recordings and of calls
    price_of_gb_month: float = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """What a number of calls per day needs."""

    calls_per_day: int
    talks_at_once: float
    recordings_gb: float
    price_per_month: float
    index_gb: float
    index_calls: int
    network_mbit_per_s: float
    spool_gb_per_hour: float
    pbx_cores: float
    api_cores: float


def capacity(calls_per_day: int, given: Assumptions) -> Capacity:
    """Compute what the busiest hour of a day, and what is kept, need."""
    per_s = calls_per_day * given.busiest_hour / 3_600
    recorded_per_s = per_s * given.recorded
    talks = recorded_per_s * given.talk_s
    kept = calls_per_day * given.retention_days
    stored_bytes = kept * given.recorded * given.talk_s * _ENCODED_BYTES_PER_S
    return Capacity(
        calls_per_day=calls_per_day,
        talks_at_once=talks,
        recordings_gb=stored_bytes / 1e9,
        price_per_month=stored_bytes / 1e9 * given.price_of_gb_month,
        index_gb=kept * _INDEX_BYTES_PER_CALL / 1e9,
        index_calls=kept,
        network_mbit_per_s=talks * _ENCODED_BYTES_PER_S * 8 / 1e6,
        spool_gb_per_hour=talks * _LEGS_BYTES_PER_S * 3_600 / 1e9,
        pbx_cores=per_s * _AGENT_S_PER_CALL + talks * _MIXER_S_PER_HOUR / 3_600,
        api_cores=per_s * _API_S_PER_CALL + recorded_per_s * _API_S_PER_RECORDING,
    )


def table(calls_per_day: Sequence[int], given: Assumptions) -> str:
    """Return the table in Markdown: a column for each number of calls."""
    columns = [capacity(each, given) for each in calls_per_day]
    rows = {
        "calls per day": [f"{each.calls_per_day:,}" for each in columns],
        "recorded talks at once, busiest hour": [_round(each.talks_at_once) for each in columns],
        "recordings kept, GB": [_round(each.recordings_gb) for each in columns],
        "their price per month": [_round(each.price_per_month) for each in columns],
        "calls in the index": [f"{each.index_calls:,}" for each in columns],
        "index on SQLite, GB": [_round(each.index_gb) for each in columns],
        "network from the PBXs to the API, Mbit/s": [_round(each.network_mbit_per_s) for each in columns],
        "spool of all PBXs, GB for each hour that the API is away": [
            _round(each.network_mbit_per_s * 3_600 / 8 / 1_000) for each in columns
        ],
        "spool of all PBXs, GB for each hour that the mixer stands": [_round(each.spool_gb_per_hour) for each in columns],
        "agents and mixers, cores on all PBXs": [_round(each.pbx_cores) for each in columns],
        "APIs, cores for intake": [_round(each.api_cores) for each in columns],
    }
    heading, *others = (f"| {' | '.join([name, *cells])} |" for name, cells in rows.items())
    return "\n".join((heading, "|---" * (len(columns) + 1) + "|", *others))


def _round(value: float) -> str:
    """Write two significant digits."""
    return f"{float(f'{value:.2g}'):,.10g}"


def main() -> None:
    """Print the table."""
    given = Assumptions()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls-per-day", type=int, nargs="+", default=CALLS_PER_DAY)
    parser.add_argument("--recorded", type=float, default=given.recorded, help="share of calls")
    parser.add_argument("--talk-s", type=float, default=given.talk_s)
    parser.add_argument("--busiest-hour", type=float, default=given.busiest_hour, help="share of the day's calls")
    parser.add_argument("--retention-days", type=int, default=given.retention_days)
    parser.add_argument("--price-of-gb-month", type=float, default=given.price_of_gb_month)
    options = vars(parser.parse_args())
    calls_per_day = options.pop("calls_per_day")
    print(table(calls_per_day, Assumptions(**options)))


if __name__ == "__main__":
    main()
