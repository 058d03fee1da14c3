"""Every answer of a running API matches its OpenAPI document, and no request makes it crash.

Schemathesis reads the document and sends requests to every operation, with values that the schemas
allow and values that they forbid, so new routes are tested as well. For more examples run
`make fuzz`, or set FONOTEKA_FUZZ_EXAMPLES=300 for this file.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from schemathesis import APIOperation, Case, CheckContext, Response
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from api.app import create_app
from api.schemas import models
from fonoteka.core.agent_protocol import CommandOutcome, Refusal
from fonoteka.core.call_report import CallReport
from fonoteka.core.config import Configuration
from fonoteka.core.naming import call_id
from tests.data import seed
from tests.portal.served import Served, serving

_EXAMPLES: Final = int(os.environ.get("FONOTEKA_FUZZ_EXAMPLES", "4"))
_CALLS: Final = 24  # two of each kind of the seed; one more is in progress
_ASKED_OF_A_PBX_S: Final = 0.05
_ASKERS: Final = {"administrator": "900", "user": "152", "agent": None, "nobody": None}
_FEW: Final = 10
_LONGEST_ADDRESS: Final = 60_000
_MEDIA_TYPE: Final = "application/problem+json"

# Existing values, by the names of the parameters.
_NOW: Final = datetime.now(UTC)
_THERE: Final = {
    "id": [call_id("pbx1", seed.a_call(number, _NOW).linkedid) for number in range(_CALLS + 1)],
    "login": ["152", "421", "900"],
}
_REPORTS: Final = [seed.a_call(_CALLS + 100, _NOW - timedelta(hours=1)), seed.unanswered(seed.a_call(_CALLS + 101, _NOW))]
_BODIES: Final[dict[str, list[Any]]] = {
    "login": [{"domain": "acme", "login": login, "password": seed.PASSWORD} for login in ("900", "421", "nobody")],
    "agentCalls": [TypeAdapter(list[CallReport]).dump_python(_REPORTS, mode="json")],
    "agentCommandOutcome": [
        TypeAdapter(CommandOutcome).dump_python(CommandOutcome(refusal=refusal, report=None), mode="json")
        for refusal in (None, *Refusal)
    ],
}


_DOCUMENT: Final = create_app(Configuration()).openapi()


def _description(mode: str, *, every_edge: bool) -> BaseSchema:
    """Return the OpenAPI document; `every_edge` adds a fixed list of requests at all limits.

    Tests choose the session; most routes ignore unknown parameters.
    """
    generation = {"mode": mode, "with-security-parameters": False, "allow-extra-parameters": False}
    config = schemathesis.Config.from_dict({"generation": generation, "phases": {"coverage": {"enabled": every_edge}}})
    return schemathesis.openapi.from_dict(deepcopy(_DOCUMENT), config=config)


def _speaks_of_what_is_there(context: Any) -> bool:
    operation: APIOperation[Any, Any, Any, Any] = context.operation
    return bool(_names(operation) & _THERE.keys()) or _operation_id(operation) in _BODIES


def _takes_a_selection(context: Any) -> bool:
    """Whether an operation takes a selection: the limits of its parameters alone take minutes."""
    return len(context.operation.definition.raw.get("parameters", ())) > _FEW


def _names(operation: APIOperation[Any, Any, Any, Any]) -> set[str]:
    return set(re.findall(r"{(\w+)}", operation.path))


def _operation_id(operation: APIOperation[Any, Any, Any, Any]) -> str:
    return str(operation.definition.raw.get("operationId"))


EVERY_EDGE: Final = _description("all", every_edge=True).exclude(_takes_a_selection)
ANYTHING: Final = _description("all", every_edge=False)
OF_WHAT_IS_THERE: Final = _description("positive", every_edge=False).include(_speaks_of_what_is_there)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The API with calls of every kind; commands to the PBX are withdrawn soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("api.routes.live._TAKEN_WITHIN_S", _ASKED_OF_A_PBX_S)
        with serving(tmp_path_factory.mktemp("api") / "store", count=_CALLS) as api:
            yield api


Asked = Callable[[str], requests.Session]


@pytest.fixture
def asked_by(served: Served) -> Iterator[Asked]:
    """HTTP sessions by role, logged in again for each operation, as `logout` ends a session."""
    with ExitStack() as to_close:

        @cache
        def by(asker: str) -> requests.Session:
            session = to_close.enter_context(requests.Session())
            if (token := _token(served, asker)) is not None:
                session.headers["Authorization"] = f"Bearer {token}"
            return session

        yield by


def _token(served: Served, asker: str) -> str | None:
    if asker == "agent":
        return seed.PBX_TOKEN
    if (login := _ASKERS[asker]) is None:
        return None
    credentials = {"domain": "acme", "login": login, "password": seed.PASSWORD}
    return str(httpx.post(f"{served.address}/api/login", json=credentials).raise_for_status().json()["token"])


_the_same_each_time = settings(
    max_examples=_EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@EVERY_EDGE.parametrize()
@_the_same_each_time
def test_every_limit(case: Case[Any], served: Served, asked_by: Asked) -> None:
    ask(case, served, asked_by("agent" if case.path.startswith("/agent/") else "administrator"))


@pytest.mark.parametrize("asker", _ASKERS)
@ANYTHING.parametrize()
@_the_same_each_time
def test_anything(case: Case[Any], asker: str, served: Served, asked_by: Asked) -> None:
    ask(case, served, asked_by(asker))


@pytest.mark.parametrize("asker", _ASKERS)
@OF_WHAT_IS_THERE.given(drawn=st.data())
@OF_WHAT_IS_THERE.parametrize()
@_the_same_each_time
def test_what_is_there(case: Case[Any], drawn: st.DataObject, asker: str, served: Served, asked_by: Asked) -> None:
    for name in sorted(_names(case.operation) & _THERE.keys()):
        if isinstance(case.path_parameters[name], str):
            case.path_parameters[name] = drawn.draw(st.sampled_from(_THERE[name]))
    if bodies := _BODIES.get(_operation_id(case.operation)):
        case.body = drawn.draw(st.sampled_from(bodies))
    ask(case, served, asked_by(asker))


def ask(case: Case[Any], served: Served, session: requests.Session) -> None:
    """Send the request and check the answer."""
    # The server refuses longer addresses before they reach the API.
    assume(len(requests.Request("GET", served.address, params=case.query).prepare().url or "") < _LONGEST_ADDRESS)
    if _is_a_wait(case.query.get("wait_s")):
        case.query["wait_s"] = 0  # else the test waits
    unsaid = [negative_data_rejection] if _says_something_else(case) else []
    answer = case.call(base_url=served.address, session=session)
    case.validate_response(
        answer,
        additional_checks=[no_crash, refusals_are_problems],
        excluded_checks=[
            not_a_server_error,  # `no_crash` allows errors that are described
            positive_data_acceptance,  # schemas do not describe which cursors and reports are valid
            *unsaid,
        ],
        transport_kwargs={"session": session, "base_url": served.address},
    )


def _says_something_else(case: Case[Any]) -> bool:
    """Whether a query cannot say what was drawn, as it has texts only.

    A list for a single value is the value repeated, or nothing; a single value is a list of one.
    """
    lists = {
        parameter["name"]: parameter["schema"].get("type") == "array"
        for parameter in case.operation.definition.raw.get("parameters", ())
        if parameter["in"] == "query"
    }
    return any(isinstance(value, list | dict) != lists[name] for name, value in case.query.items() if name in lists)


def _is_a_wait(value: object) -> bool:
    try:
        return 0 < float(str(value)) <= 60
    except ValueError:
        return False


def no_crash(_context: CheckContext, answer: Response, case: Case[Any]) -> None:
    """Check that a status from 500 is described, and is never 500 itself."""
    described: Mapping[str, Any] = case.operation.definition.raw["responses"]
    assert answer.status_code < 500 or (answer.status_code != 500 and str(answer.status_code) in described), answer.text


def refusals_are_problems(_context: CheckContext, answer: Response, _case: Case[Any]) -> None:
    """Check that an error is a problem document (RFC 9457) with its own status."""
    if answer.status_code < 400:
        return
    assert answer.headers["content-type"] == [_MEDIA_TYPE], answer.headers
    problem = models.Problem.model_validate_json(answer.content)
    assert problem.status == answer.status_code
    assert re.fullmatch(r"/problems/[a-z-]+", problem.type), problem
