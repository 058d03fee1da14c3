"""A call belongs to one domain from the moment on which its domain is known."""

from dataclasses import replace

import pytest

from agent.calls.call_registry import CallRegistry
from agent.rules.directory import Directory
from agent.rules.parties import domain_of
from fonoteka.core.domains import DomainSettings
from tests.unit.agent.fixtures import ACME, events

_OTHERS_USER = replace(ACME.users[0], endpoints=("PJSIP/other-152",))
OTHER = replace(ACME, name="other", users=(_OTHERS_USER,), numbers=("2459152",))
BOTH = Directory(settings=DomainSettings(version=1, domains=(ACME, OTHER)))
ONE = Directory(settings=DomainSettings(version=1, domains=(OTHER,)))

# The call, the domain after its first event, and the domain at its end.
CALLS = [
    ("a user calls", "0 start a PJSIP/acme-152-1 89131234567", "acme", "acme"),
    ("a user calls another domain", "0 start a PJSIP/acme-152-1 2459152\n1 start b PJSIP/other-152-2", "acme", "acme"),
    ("a number is called", "0 start a PJSIP/trunk-1 2458152\n1 start b PJSIP/acme-152-2", "acme", "acme"),
    ("a number leads to another domain", "0 start a PJSIP/trunk-1 2458152\n1 start b PJSIP/other-152-2", "acme", "acme"),
    ("an unknown number leads to a user", "0 start a PJSIP/trunk-1 100\n1 start b PJSIP/other-152-2", None, "other"),
    (
        "then to a user of another domain",
        "0 start a PJSIP/trunk-1 1\n1 start b PJSIP/other-152-2\n2 start c PJSIP/acme-152-3",
        None,
        "other",
    ),
    ("an unknown number leads to nobody", "0 start a PJSIP/trunk-1 100", None, None),
]


@pytest.mark.parametrize(("table", "first", "last"), [call[1:] for call in CALLS], ids=[call[0] for call in CALLS])
def test_the_domain_of_a_call_never_changes(table: str, first: str | None, last: str | None) -> None:
    registry, seen = CallRegistry(), []
    for happened in events(table):
        _, call = registry.fold(happened)
        assert call is not None
        domain = domain_of(call, BOTH)
        seen.append(domain.settings.name if domain is not None else None)
    assert (seen[0], seen[-1]) == (first, last)
    assert len({name for name in seen if name is not None}) <= 1


def test_a_call_of_nobody_belongs_to_the_only_domain() -> None:
    (started,) = events("0 start a PJSIP/trunk-1 100")
    _, call = CallRegistry().fold(started)
    assert call is not None
    domain = domain_of(call, ONE)
    assert domain is not None and domain.settings.name == "other"
