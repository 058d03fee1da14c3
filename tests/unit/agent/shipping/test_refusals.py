"""Which answers to a shipped call or recording are final, which concern it alone, which all."""

import json

import httpx
import pytest

from agent.shipping.api_client import ApiClient
from fonoteka.core.errors import AlreadyShipped, RetentionOver, ShipDeferred, ShipError, ShipRefused


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
    api = ApiClient("http://api", "token")
    await api.close()
    api._http = httpx.AsyncClient(base_url="http://api", transport=httpx.MockTransport(lambda _: httpx.Response(status, text=body)))
    with pytest.raises(ShipError) as raised:
        await api.put_calls([])
    assert type(raised.value) is error
    await api.close()
