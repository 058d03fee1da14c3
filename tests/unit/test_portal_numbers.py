"""Numbers and days as the portal writes them are those of the browser's own formatters, which it has no time to make."""

import json
import subprocess
import sys
from pathlib import Path

_SOURCE = Path(__file__).parents[2] / "portal" / "src" / "i18n"
_NUMBERS = """
const { groupedIn, percentIn } = await import(process.argv[1] + "numbers.ts");
const counts = [0, 7, 12, 999, 1000, 1234, 12345, 99999, 100000, 1234567, 9007199254740991];
const shares = [0, 0.0004, 0.0005, 0.001, 0.0994, 0.125, 0.5, 0.999, 0.9996, 1, 1.5, 12.345, 3456.789];
shares.push(-0.0004, -0.001, -0.125, -1, -20.5);
for (let out = 1; out < 60; out += 7) for (let of = out; of < 600; of += 13) shares.push(out / of, (out - of) / out);
const told = [];
for (const language of ["ru", "en"]) {
  for (const count of counts) told.push([groupedIn(language, count), new Intl.NumberFormat(language).format(count)]);
  for (const share of shares) {
    for (const [signed, signDisplay] of [[false, "negative"], [true, "exceptZero"]]) {
      const options = { style: "percent", maximumFractionDigits: 1, signDisplay };
      told.push([percentIn(language, share, signed), new Intl.NumberFormat(language, options).format(share).replace("-", "−")]);
    }
  }
}
process.stdout.write(JSON.stringify(told));
"""
_DAYS = """
const { dayBy } = await import(process.argv[1] + "dates.ts");
const [spring, autumn] = ["2026-03-29T02:00:00.000+01:00", "2026-10-25T03:00:00.000+02:00"];
const clock = [{ offset_s: 3600, until: spring }, { offset_s: 7200, until: autumn }];
const berlin = { timeZone: "Europe/Berlin", year: "numeric", month: "2-digit", day: "2-digit" };
const days = new Intl.DateTimeFormat("en-CA", berlin);
const told = [];
for (let at = Date.parse("2026-03-01"); at < Date.parse(autumn); at += 1_234_567) told.push([dayBy(clock, at), days.format(at)]);
const later = Date.parse("2027-01-01T22:30Z");
told.push([dayBy(clock, later), "2027-01-02"], [dayBy([], later), "2027-01-01"]);
process.stdout.write(JSON.stringify(told));
"""


def test_numbers_are_written_as_the_browser_would() -> None:
    told = _run(_NUMBERS)
    assert len(told) > 1000
    assert [pair for pair in told if pair[0] != pair[1]] == []


def test_the_day_is_that_of_the_companys_clock() -> None:
    """Summer time included; after what the API has told of, the clock goes on as it did at last."""
    told = _run(_DAYS)
    assert len(told) > 10_000
    assert [pair for pair in told if pair[0] != pair[1]] == []


def _run(script: str) -> list[list[str]]:
    command = [
        str(Path(sys.executable).parent / "node"),
        "--no-warnings",
        "--input-type=module",
        "-e",
        script,
        f"{_SOURCE}/",
    ]
    said = subprocess.run(command, capture_output=True, check=True, timeout=30)
    told: list[list[str]] = json.loads(said.stdout)
    return told
