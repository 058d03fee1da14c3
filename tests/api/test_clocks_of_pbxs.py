"""Two PBXs with tokens and domains of their own, one of them with a wrong clock, are told apart."""

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
import pytest

from agent.shipping.api_client import ApiClient
from fonoteka.cli.doctor import api as doctor_api
from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.agent_protocol import PbxLink
from fonoteka.core.config import ApiSection
from store.people.accounts import add_pbx
from tests.api.conftest import Site, report
from tests.data import seed

HOUR_S: Final = 3600.0


async def ahead(client: httpx.AsyncClient) -> dict[str, float]:
    """Return by how much each PBX is ahead, as the metrics say."""
    lines = (await client.get("/metrics")).text.splitlines()
    found = (line.split() for line in lines if line.startswith("fonoteka_pbx_clock_ahead_seconds{"))
    return {name.split('"')[1]: float(value) for name, value in found}


@pytest.mark.parametrize(("by_s", "said"), [(HOUR_S, "ahead of"), (-HOUR_S, "behind")])
async def test_a_wrong_clock_is_measured_shown_and_right_again(
    site: Site, agent: httpx.AsyncClient, by_s: float, said: str
) -> None:
    token = await add_pbx(site.services.store, "pbx2", ["other"])
    wrong, right = ApiClient(site.address, token), ApiClient(site.address, seed.PBX_TOKEN)
    async with site.client() as stranger, site.client(token) as second:
        await right.commands(0, 0, PbxLink.UP, time.time())
        await wrong.commands(0, 0, PbxLink.UP, time.time() + by_s)
        answer = await stranger.get("/readyz")
        assert answer.status_code == 503
        detail = answer.json()["detail"]
        assert re.fullmatch(f"pbx2: its clock is 3[56].. s {said} this server's: its calls are listed at wrong times", detail)
        assert (await stranger.get("/readyz", params={"agents": "false"})).text == "ready"
        measured = await ahead(stranger)
        assert measured == {"pbx1": pytest.approx(0, abs=60), "pbx2": pytest.approx(by_s, abs=60)}

        now = datetime.now(UTC)
        ours, theirs = seed.a_call(1, now), replace(seed.a_call(2, now + timedelta(seconds=by_s)), pbx="pbx2", domain="other")
        assert (await report(agent, ours)).receipts[0].refused is None
        assert (await report(second, theirs)).receipts[0].refused is None
        assert (await report(second, replace(theirs, domain="acme"))).receipts[0].refused is not None, "a domain of the other PBX"

        await wrong.commands(0, 0, PbxLink.UP, time.time())
        assert (await stranger.get("/readyz")).text == "ready"
        await wrong.commands(0, 0, PbxLink.UP, None)
        assert (await stranger.get("/readyz")).text == "ready", "an Asterisk that does not answer has no clock"
        for value in ("soon", "-1", "inf", "1e300"):
            assert (await second.get("/agent/v1/commands", params={"clock_s": value})).status_code == 422
    await wrong.close()
    await right.close()


@pytest.mark.parametrize(("by_s", "ok"), [(0.0, True), (-HOUR_S, False)])
async def test_the_doctor_compares_the_clocks(site: Site, monkeypatch: pytest.MonkeyPatch, by_s: float, ok: bool) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(seconds=by_s)

    monkeypatch.setattr(doctor_api, "datetime", Clock)
    configured = site.configuration.model_copy(update={"api": ApiSection(listen=site.address.removeprefix("http://"))})
    answers = [answer async for answer in doctor_api.check(configured)]
    (finding,) = (answer for answer in answers if isinstance(answer, Finding) and answer.check == "same time")
    assert (finding.ok, bool(re.search("3[56].. s behind", finding.detail))) == (ok, not ok), finding.detail
