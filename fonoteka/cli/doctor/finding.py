"""What a check found, and how it is shown."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One check: `detail` says what was seen, `mend` what to do unless it is `ok` (None: cannot be told from here)."""

    part: str
    check: str
    ok: bool | None
    detail: str
    mend: str = ""


_MARKS = {True: "ok ", False: "BAD", None: "?  "}


def shown(findings: list[Finding]) -> str:
    """The findings for a human, one line each, and a second line where something is to be done."""
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.ok]}  {finding.part}: {finding.check} — {finding.detail}")
        if finding.ok is not True and finding.mend:
            lines.append(f"     → {finding.mend}")
    bad = sum(finding.ok is False for finding in findings)
    lines.append("everything is in order" if not bad else f"{bad} of {len(findings)} checks found something")
    if unknown := sum(finding.ok is None for finding in findings):
        lines.append(f"{unknown} could not be made from here: look yourself")
    return "\n".join(lines)


def shown_as_json(findings: list[Finding]) -> str:
    """The findings for a program."""
    return json.dumps({"ok": in_order(findings), "findings": [asdict(f) for f in findings]}, ensure_ascii=False)


def in_order(findings: Iterable[Finding]) -> bool:
    """Whether no check found something wrong."""
    return all(finding.ok is not False for finding in findings)
