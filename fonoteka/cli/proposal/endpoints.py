"""The PJSIP endpoints of a PBX, with what tells a telephone from a line outside. Passwords that come along are not read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fonoteka.core.errors import AmiActionFailed


class Ami(Protocol):
    """What of the AMI client this needs."""

    async def listing(self, name: str, /, timeout_s: float = 10, **headers: str) -> list[Any]:
        """An action's whole list; raises AmiError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PbxEndpoint:
    """`caller_id` is as Asterisk writes it, `"name" <number>`; `tenant` is `tenantid`, empty if not set.

    What points outside: Asterisk `logs_in` there (`outbound_auth`) or `registers` there; it is `told_by_address` (`identify`); its
    `address_is_fixed` (a contact of its AOR that did not register).
    """

    name: str
    caller_id: str = ""
    tenant: str = ""
    logs_in: bool = False
    registers: bool = False
    told_by_address: bool = False
    address_is_fixed: bool = False


async def endpoints(ami: Ami) -> list[PbxEndpoint]:
    """All of them, realtime ones too. Raises AmiError."""
    registering = {row.get("Endpoint", "") for row in await _listed(ami, "PJSIPShowRegistrationsOutbound")}
    names = [row["ObjectName"] for row in await ami.listing("PJSIPShowEndpoints", timeout_s=30) if row.get("ObjectName")]
    return [read(name, await _listed(ami, "PJSIPShowEndpoint", Endpoint=name), registers=name in registering) for name in names]


async def _listed(ami: Ami, action: str, **headers: Any) -> list[Any]:
    """Nothing where Asterisk has none: no module for it, or an endpoint that has just gone."""
    try:
        return await ami.listing(action, **headers)
    except AmiActionFailed:
        return []


def read(name: str, rows: Iterable[Mapping[str, str]], *, registers: bool) -> PbxEndpoint:
    """One endpoint from the list that PJSIPShowEndpoint answers with."""
    of_kind: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        of_kind.setdefault(row.get("Event", ""), []).append(row)
    detail = next(iter(of_kind.get("EndpointDetail", [])), {})
    aors = of_kind.get("AorDetail", [])
    return PbxEndpoint(
        name=name,
        caller_id=detail.get("Callerid", ""),
        tenant=detail.get("Tenantid", ""),
        logs_in=bool(detail.get("OutboundAuth")),
        registers=registers,
        told_by_address="IdentifyDetail" in of_kind,
        address_is_fixed=any(_number(aor.get("TotalContacts")) > _number(aor.get("ContactsRegistered")) for aor in aors),
    )


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0
