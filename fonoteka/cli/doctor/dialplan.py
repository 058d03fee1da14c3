"""Parse the dialplan of a file, and of a running Asterisk, into steps. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fonoteka.cli.doctor.conf import ConfLine


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One priority of an extension: an application and its arguments; `label` is for Goto."""

    context: str
    exten: str
    priority: int
    label: str
    application: str
    arguments: str

    def __str__(self) -> str:
        priority = f"{self.priority}({self.label})" if self.label else self.priority
        return f"exten => {self.exten},{priority},{self.application}({self.arguments})"


_PRIORITY: Final = re.compile(r"(n|\d+)(?:\(([^)]*)\))?")


def steps(lines: Iterable[ConfLine]) -> list[Step]:
    """Return the steps of `exten =>` and `same =>` lines. Raises ValueError for other lines."""
    found: list[Step] = []
    exten, before = "", 0
    for line in lines:
        rest = line.value
        if line.key == "exten":
            exten, _, rest = rest.partition(",")
        elif line.key != "same":
            raise ValueError(f"not understood: {line}")
        number, _, call = rest.strip().partition(",")
        priority = _PRIORITY.fullmatch(number.strip())
        if priority is None:
            raise ValueError(f"not understood: {line}")
        before = before + 1 if priority.group(1) == "n" else int(priority.group(1))
        application, _, arguments = call.strip().partition("(")
        found.append(
            Step(
                context=line.section,
                exten=exten.strip(),
                priority=before,
                label=priority.group(2) or "",
                application=application.strip(),
                arguments=arguments.removesuffix(")"),
            )
        )
    return found


def running(rows: Iterable[Mapping[str, str]]) -> list[Step]:
    """Return the steps of a `ShowDialPlan` list, without includes, switches and hints."""
    return [
        Step(
            context=row.get("Context", ""),
            exten=row.get("Extension", ""),
            priority=int(row["Priority"]),
            label=row.get("ExtensionLabel", ""),
            application=row["Application"],
            arguments=row.get("AppData", ""),
        )
        for row in rows
        if row.get("Priority", "").isdecimal() and "Application" in row
    ]
