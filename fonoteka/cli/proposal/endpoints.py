"""Read the PJSIP endpoints of a PBX, except their passwords."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fonoteka.core.errors import AmiActionFailed


class Ami(Protocol):
    """The part of the AMI client that is needed."""

    async def listing(self, name: str, /, timeout_s: float = 10, **headers: str) -> list[Any]:
        """Return the list of an action. Raises AmiError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PbxEndpoint:
    """A PJSIP endpoint.

    `caller_id` is as Asterisk writes it, `"name" <number>`; `tenant` is `tenantid`, empty if unset.
    Signs of a trunk: Asterisk `logs_in` there (`outbound_auth`) or `registers` there; the endpoint
    is `matched_by_address` (`identify`); `address_is_fixed` (a contact that did not register).
    """

    name: str
    caller_id: str = ""
    tenant: str = ""
    logs_in: bool = False
    registers: bool = False
    matched_by_address: bool = False
    address_is_fixed: bool = False


async def endpoints(ami: Ami) -> list[PbxEndpoint]:
    """Return all endpoints, realtime endpoints too. Raises AmiError."""
    registering = {row.get("Endpoint", "") for row in await _listed(ami, "PJSIPShowRegistrationsOutbound")}
    names = [row["ObjectName"] for row in await ami.listing("PJSIPShowEndpoints", timeout_s=30) if row.get("ObjectName")]
    return [read(name, await _listed(ami, "PJSIPShowEndpoint", Endpoint=name), registers=name in registering) for name in names]


async def _listed(ami: Ami, action: str, **headers: Any) -> list[Any]:
    """Return a list, or [] if the module or the endpoint does not exist."""
    try:
        return await ami.listing(action, **headers)
    except AmiActionFailed:
        return []


def read(name: str, rows: Iterable[Mapping[str, str]], *, registers: bool) -> PbxEndpoint:
    """Return one endpoint from the list of PJSIPShowEndpoint."""
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
        matched_by_address="IdentifyDetail" in of_kind,
        address_is_fixed=any(_number(aor.get("TotalContacts")) > _number(aor.get("ContactsRegistered")) for aor in aors),
    )


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0
