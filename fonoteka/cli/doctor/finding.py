"""The result of a check, and its output."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The result of one check: `detail` says what was found, `mend` how to fix it.

    `ok` None: the check was not possible from here.
    """

    part: str
    check: str
    ok: bool | None
    detail: str
    mend: str = ""


_MARKS = {True: "ok ", False: "BAD", None: "?  "}


def to_text(findings: list[Finding]) -> str:
    """Return the findings as text: one line each, and a second line with the fix if needed."""
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.ok]}  {finding.part}: {finding.check} — {finding.detail}")
        if finding.ok is not True and finding.mend:
            lines.append(f"     → {finding.mend}")
    bad = sum(finding.ok is False for finding in findings)
    lines.append("everything is in order" if not bad else f"{bad} of {len(findings)} checks found something")
    if unknown := sum(finding.ok is None for finding in findings):
        lines.append(f"{unknown} could not be checked from here: check by hand")
    return "\n".join(lines)


def to_json(findings: list[Finding]) -> str:
    """Return the findings as JSON."""
    return json.dumps({"ok": in_order(findings), "findings": [asdict(finding) for finding in findings]}, ensure_ascii=False)


def in_order(findings: Iterable[Finding]) -> bool:
    """Return whether no check found a problem."""
    return all(finding.ok is not False for finding in findings)
