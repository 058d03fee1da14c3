"""Which row of a call is a domain's: a call that concerns several domains has one for each. Pure.

The row of the first domain has the id of pbx and linkedid, each other row that of pbx, linkedid and
domain. A domain has at most one row of a call, whatever comes first.
"""

from collections.abc import Callable

from fonoteka.core.call_report import CallReport
from fonoteka.core.naming import call_id


def possible_ids(pbx: str, linkedid: str, domain: str) -> tuple[str, str]:
    """Return the public ids that the row of a domain may have: as the first, as a further one."""
    return call_id(pbx, linkedid), call_id(pbx, linkedid, domain)


def row_id(pbx: str, linkedid: str, domain: str, *, is_of: Callable[[str], bool | None], further: bool = False) -> str:
    """Return the public id of a domain's row of a call.

    `is_of` says whether a stored row is of the domain; None if there is none. `further` decides for
    a row that is not stored.
    """
    first, own = possible_ids(pbx, linkedid, domain)
    if is_of(first):
        return first
    return own if further or is_of(own) is not None else first


def named_ids(pbx: str, report: CallReport) -> set[str]:
    """Return the possible ids of a reported call and of the call into which it is merged."""
    linkedids = (report.linkedid, report.merged_into)
    return {public_id for linkedid in linkedids if linkedid for public_id in possible_ids(pbx, linkedid, report.domain)}
