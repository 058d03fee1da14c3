"""Which answers to a shipped call or recording are final, which concern it alone, which all."""

import json
from collections.abc import Callable

import httpx
import pytest

from agent.shipping.api_client import ApiClient
from fonoteka.core.errors import AlreadyShipped, RetentionOver, ShipBucketAway, ShipDeferred, ShipError, ShipRefused


@pytest.mark.parametrize(
    ("status", "problem", "error"),
    [
        (413, "too-large", ShipRefused),
        (413, None, ShipRefused),  # of a proxy, which is as final
        (422, "intake-refused", ShipRefused),
        (400, "bad-request", ShipRefused),
        (409, "audio-stored", AlreadyShipped),
        (410, "retention-ended", RetentionOver),
        (409, "not-yet-taken", ShipDeferred),
        (404, "not-found", ShipDeferred),
        (500, "internal-error", ShipDeferred),
        (502, "recording-damaged", ShipDeferred),
        (502, "bucket-away", ShipBucketAway),
        (503, "store-unavailable", ShipError),
        (507, "storage-full", ShipError),
        (429, "too-many-polls", ShipError),
        (400, None, ShipError),  # plain HTTP to the port of HTTPS, say
        (404, None, ShipError),
        (422, None, ShipError),
        (502, None, ShipError),
        (401, "unauthorized", ShipError),
    ],
)
async def test_an_answer_is_final_or_concerns_one_or_all(status: int, problem: str | None, error: type[ShipError]) -> None:
    body = json.dumps({"type": f"/problems/{problem}"}) if problem is not None else "<html>"
    assert await raised_by(lambda _: httpx.Response(status, text=body)) is error


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.ReadTimeout, ShipDeferred),
        (httpx.WriteTimeout, ShipDeferred),
        (httpx.ConnectTimeout, ShipError),
        (httpx.ReadError, ShipError),
    ],
)
async def test_a_request_that_takes_too_long_may_be_to_blame_itself(
    failure: type[httpx.TransportError], error: type[ShipError]
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise failure("")

    assert await raised_by(fail) is error


async def raised_by(answer: Callable[[httpx.Request], httpx.Response]) -> type[ShipError]:
    """Return the error of a request that is answered so."""
    api = ApiClient("http://api", "token")
    await api.close()
    api._http = httpx.AsyncClient(base_url="http://api", transport=httpx.MockTransport(answer))
    with pytest.raises(ShipError) as raised:
        await api.put_calls([])
    await api.close()
    return type(raised.value)
