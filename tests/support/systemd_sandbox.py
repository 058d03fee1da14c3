"""Run a command under the system call filter of a unit, without systemd.

Usage: `python -m tests.support.systemd_sandbox UNIT COMMAND …`. Applies SystemCallFilter,
SystemCallErrorNumber and RestrictSUIDSGID by libseccomp, as systemd does, and then executes the
command.
"""

import ctypes
import os
import re
import subprocess
import sys
from ctypes import c_int, c_uint, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Final

_ALLOW: Final = 0x7FFF0000
_EPERM: Final = 0x00050001
_MASKED_EQUAL: Final = 7
_SET_ID_BITS: Final = (0o4000, 0o2000)
# The place of the mode among the arguments.
_MODE_ARGUMENT: Final = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "mkdir": 1, "mkdirat": 2, "mknod": 1, "mknodat": 2, "creat": 1}


class _Comparison(ctypes.Structure):
    _fields_ = (("argument", c_uint), ("operator", c_int), ("mask", c_uint64), ("value", c_uint64))


def allowed_calls(unit: str) -> set[str]:
    """Return the system calls that a unit allows."""
    calls: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.+)$", unit, flags=re.M):
        names = {call for name in line.removeprefix("~").split() for call in _expanded(name)}
        calls = calls - names if line.startswith("~") else calls | names
    return calls


def _expanded(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True).stdout
    members = [line.strip() for line in listed.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return {call for member in members for call in _expanded(member)}


def confine(unit: str) -> None:
    """Apply the filters of a unit to this process and its children."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = c_void_p
    library.seccomp_rule_add_array.argtypes = (c_void_p, c_uint32, c_int, c_uint, c_void_p)
    library.seccomp_load.argtypes = (c_void_p,)
    if "RestrictSUIDSGID=yes" in unit:
        no_bits = library.seccomp_init(c_uint32(_ALLOW))
        for name, place in _MODE_ARGUMENT.items():
            for bit in _SET_ID_BITS:
                comparison = _Comparison(place, _MASKED_EQUAL, bit, bit)
                _checked(library.seccomp_rule_add_array(no_bits, _EPERM, _number(library, name), 1, ctypes.byref(comparison)))
        _checked(library.seccomp_load(no_bits))
    listed = library.seccomp_init(c_uint32(_EPERM))
    for name in sorted(allowed_calls(unit)):
        if (number := _number(library, name)) >= 0:  # others do not exist on this processor
            _checked(library.seccomp_rule_add_array(listed, _ALLOW, number, 0, None))
    _checked(library.seccomp_load(listed))


def _number(library: ctypes.CDLL, name: str) -> int:
    return int(library.seccomp_syscall_resolve_name(name.encode()))


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(-result, os.strerror(-result))


if __name__ == "__main__":
    confine(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 (no shell is meant)
