"""Who holds the token of a PBX, asks what, and gets what: the domains of that PBX, no others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter
from sqlalchemy import select, text, update

from fonoteka.core.agent_protocol import CommandOutcome
from fonoteka.core.call_report import Action, CallReport, Reason, RecordingState
from fonoteka.core.domains import DomainSettings
from fonoteka.core.errors import ConfigurationError, DomainNotServed, IntakeRefused
from fonoteka.core.naming import call_id
from store import recorder_commands
from store.database.schema import calls, domains, pbxs, segments
from store.database.store import Store
from store.intake.intake import CallsTaken, upsert_calls
from store.people.accounts import Pbx, add_pbx, ensure_pbx, pbx_of
from store.people.served_domains import Serves, registered_pbxs, served_domains, set_served_domains
from tests.api.conftest import Site, put_recording, report
from tests.data import seed
from tests.store.test_intake import BEGIN, seen, take
from tests.support.eventually import eventually
from tests.support.forked import start_command

EAST, WEST, BOTH = ("acme",), ("other",), None


async def registered(store: Store, name: str, served: Sequence[str] | None) -> Pbx:
    pbx = await pbx_of(store, await add_pbx(store, name, served))
    assert pbx is not None
    return pbx


@pytest.fixture
async def east(store: Store, pbx: Pbx) -> Pbx:
    """A PBX that serves acme, beside pbx1, which serves all."""
    return await registered(store, "east", EAST)


def call_at(pbx: str, number: int = 1, **fields: Any) -> CallReport:
    """A call of a PBX, and a segment that is its own."""
    call = seed.a_call(number, BEGIN)
    own = seed.but(call.segments[0], name=f"{pbx}-{number}-1")
    return seed.but(call, **{"pbx": pbx, "segments": (own,)} | fields)


def newer(call: CallReport, **fields: Any) -> CallReport:
    return seed.but(call, **{"revision": call.revision + 1000} | fields)


async def domain_of(store: Store, call: CallReport) -> str | None:
    query = select(domains.c.name).join(calls, calls.c.domain_id == domains.c.id)
    async with store.reading() as connection:
        name: str | None = (await connection.execute(query.where(calls.c.public_id == call_id(call.pbx, call.linkedid)))).scalar()
    return name


def refused(taken: CallsTaken) -> list[str]:
    return [refusal.counted_as for refusal in taken.refusals]


CALL = call_at("east")
# What the PBX of acme reports, one request after another; what is refused of the last; whose the
# call is after it.
REPORTED: list[tuple[str, list[list[CallReport]], list[str], str | None]] = [
    ("a call of its domain", [[CALL]], [], "acme"),
    ("a call of another domain", [[seed.but(CALL, domain="other")]], ["domain_not_served"], None),
    ("a call of a domain that does not exist", [[seed.but(CALL, domain="nobody")]], ["domain_not_served"], None),
    ("that a call moved to another domain", [[CALL], [newer(CALL, domain="other")]], ["domain_not_served"], "acme"),
    ("a call of another PBX", [[seed.but(CALL, pbx="pbx1")]], ["invalid"], None),
]


@pytest.mark.parametrize(("requests", "kinds", "owner"), [row[1:] for row in REPORTED], ids=[row[0] for row in REPORTED])
async def test_the_pbx_of_one_domain_reports(
    store: Store, east: Pbx, requests: list[list[CallReport]], kinds: list[str], owner: str | None
) -> None:
    for reports in requests:
        taken = await upsert_calls(store, east, reports)
    assert refused(taken) == kinds
    assert [(receipt.refused is not None, receipt.retry) for receipt in taken.receipts] == [(bool(kinds), False)]
    assert await domain_of(store, CALL) == owner


FOR_BOTH = call_at("pbx1")
MOVED: list[tuple[str, list[list[CallReport]], list[str]]] = [
    ("in a newer report", [[FOR_BOTH], [newer(FOR_BOTH, domain="other", participants=())]], ["domain_changed"]),
    ("in the same request", [[FOR_BOTH, newer(FOR_BOTH, domain="other", participants=())]], ["domain_changed"]),
    ("in an older report", [[newer(FOR_BOTH)], [seed.but(FOR_BOTH, domain="other")]], ["domain_changed"]),
]


@pytest.mark.parametrize(("requests", "kinds"), [row[1:] for row in MOVED], ids=[row[0] for row in MOVED])
async def test_a_call_never_changes_its_domain(store: Store, pbx: Pbx, requests: list[list[CallReport]], kinds: list[str]) -> None:
    """Not even by the token of a PBX that serves both domains."""
    for reports in requests:
        taken = await upsert_calls(store, pbx, reports)
    assert refused(taken) == kinds
    assert not any(receipt.retry for receipt in taken.receipts)
    assert await domain_of(store, FOR_BOTH) == "acme"


async def test_a_domain_made_again_under_its_name_does_not_get_the_calls(store: Store, pbx: Pbx) -> None:
    """The rows of the old domain stay those of the old domain."""
    await upsert_calls(store, pbx, [FOR_BOTH])
    async with store.writing() as connection:
        await connection.execute(update(domains).where(domains.c.name == "acme").values(name="acme-before"))
        await connection.execute(update(domains).where(domains.c.name == "other").values(name="acme"))
    assert refused(await upsert_calls(store, pbx, [newer(FOR_BOTH)])) == ["domain_changed"]
    assert await domain_of(store, FOR_BOTH) == "acme-before"


OTHERS = call_at("pbx1", 2, domain="other", participants=("900",))
NAMES_ANOTHERS = call_at("pbx1", 3, segments=(*OTHERS.segments, *call_at("pbx1", 3).segments))


@pytest.mark.parametrize("with_audio", [True, False], ids=["with audio", "still without audio"])
async def test_a_report_takes_no_segment_of_another_domain(store: Store, pbx: Pbx, with_audio: bool) -> None:
    await upsert_calls(store, pbx, [OTHERS])
    if with_audio:
        await take(store, pbx, OTHERS)
    for taking in (NAMES_ANOTHERS, newer(NAMES_ANOTHERS)):
        taken = await upsert_calls(store, pbx, [taking])
        assert refused(taken) == ["segment_of_other_call"]
        assert [receipt.refused for receipt in taken.receipts] == [None]
    await take(store, pbx, seed.but(NAMES_ANOTHERS, segments=NAMES_ANOTHERS.segments[1:]))
    shown = await seen(store, NAMES_ANOTHERS)
    assert shown is not None
    assert (shown.recording.state, shown.recording.duration_ms) == (RecordingState.READY, 5000), "its own segment alone"
    assert await calls_of_segments(store) == {OTHERS.segments[0].name: OTHERS.linkedid, "pbx1-3-1": NAMES_ANOTHERS.linkedid}


async def test_audio_sent_with_a_call_of_another_domain_stays_with_the_call_of_its_segment(store: Store, pbx: Pbx) -> None:
    await upsert_calls(store, pbx, [OTHERS, call_at("pbx1", 3)])
    await take(store, pbx, newer(NAMES_ANOTHERS))
    assert (await calls_of_segments(store))[OTHERS.segments[0].name] == OTHERS.linkedid
    shown = await seen(store, NAMES_ANOTHERS)
    assert shown is not None and shown.recording.state is RecordingState.PROCESSING


async def test_a_merge_does_not_cross_domains(store: Store, pbx: Pbx) -> None:
    """Each call stays a call of its own domain, with its own recording."""
    ours = call_at("pbx1", 3)
    await upsert_calls(store, pbx, [OTHERS, ours])
    part = newer(OTHERS, segments=(), merged_into=ours.linkedid, reason=Reason.USER_OFF)
    taken = await upsert_calls(store, pbx, [newer(ours, segments=(*ours.segments, *OTHERS.segments)), part])
    assert refused(taken) == ["segment_of_other_call"]
    await take(store, pbx, newer(ours, segments=OTHERS.segments))
    async with store.reading() as connection:
        row = (await connection.execute(select(calls).where(calls.c.linkedid == OTHERS.linkedid))).one()
    assert (row.merged_into, row.recording_state) == (None, RecordingState.READY)
    assert (await calls_of_segments(store))[OTHERS.segments[0].name] == OTHERS.linkedid


async def test_segments_of_two_pbxs_have_nothing_to_do_with_each_other(store: Store, east: Pbx, pbx: Pbx) -> None:
    stolen = call_at("east", 5, segments=FOR_BOTH.segments)
    await upsert_calls(store, pbx, [FOR_BOTH])
    await take(store, pbx, FOR_BOTH)
    await upsert_calls(store, east, [stolen])
    shown = await seen(store, stolen)
    assert shown is not None and shown.recording.state is RecordingState.PROCESSING


@pytest.mark.parametrize("domain", ["other", "nobody"])
async def test_a_recording_of_another_domain_is_refused(store: Store, east: Pbx, domain: str) -> None:
    with pytest.raises(DomainNotServed, match="does not serve domain"):
        await take(store, east, seed.but(CALL, domain=domain))
    await upsert_calls(store, east, [CALL])
    with pytest.raises(IntakeRefused):
        await take(store, east, newer(CALL, domain=domain))
    assert await domain_of(store, CALL) == "acme"


async def test_audio_of_a_domain_that_the_pbx_serves_no_longer_is_refused(store: Store, east: Pbx) -> None:
    await upsert_calls(store, east, [CALL])
    await set_served_domains(store, "east", WEST)
    for call in (CALL, call_at("east", 7, domain="other", segments=CALL.segments)):
        with pytest.raises(DomainNotServed):
            await take(store, east, call)


async def calls_of_segments(store: Store) -> dict[str, str]:
    query = select(segments.c.name, calls.c.linkedid).join(calls, calls.c.id == segments.c.call_id)
    async with store.reading() as connection:
        return {row.name: row.linkedid for row in await connection.execute(query)}


async def test_commands_of_a_domain_that_the_pbx_serves_no_longer_are_refused(store: Store, east: Pbx) -> None:
    await upsert_calls(store, east, [seed.but(CALL, ended_at=None)])

    async def ask() -> int:
        return await recorder_commands.ask(
            store, pbx="east", linkedid=CALL.linkedid, domain_id=1, action=Action.STOP, login=None, now=BEGIN
        )

    first = await ask()
    taken = await recorder_commands.take(store, east, 0, BEGIN)
    assert ([command.id for command in taken.commands], taken.refused) == ([first], 0)
    await set_served_domains(store, "east", WEST)
    with pytest.raises(DomainNotServed):
        await recorder_commands.answer(store, east, first, recorder_commands.DONE)
    assert await recorder_commands.answer_of(store, first) is None
    second = await ask()
    taken = await recorder_commands.take(store, east, first, BEGIN)
    assert (taken.commands, taken.refused) == ((), 1)
    assert await recorder_commands.answer_of(store, second) == recorder_commands.NOT_SERVED


async def test_who_serves_what(store: Store, pbx: Pbx) -> None:
    """`fonoteka up` gives its own PBX all domains, unless somebody has named some."""
    await add_pbx(store, "east", [*EAST, "acme"])
    async with store.writing() as connection:
        await connection.execute(pbxs.insert().values(name="before", token_hash="x"))
        await connection.execute(pbxs.insert().values(name="before-up", token_hash="y"))
    await ensure_pbx(store, "before-up", "token of up")
    await ensure_pbx(store, "east", "token of up again")
    assert [(pbx.name, pbx.serves, pbx.domains) for pbx in await registered_pbxs(store)] == [
        ("before", Serves.UNSET, None),
        ("before-up", Serves.ALL, None),
        ("east", Serves.NAMED, EAST),
        ("pbx1", Serves.ALL, None),
    ]
    async with store.reading() as connection:
        ids = [(await served_domains(connection, pbx.id)).ids.keys() for pbx in [await of(store, "token of up again"), pbx]]
    assert [sorted(names) for names in ids] == [["acme"], ["acme", "other"]]


async def of(store: Store, token: str) -> Pbx:
    pbx = await pbx_of(store, token)
    assert pbx is not None
    return pbx


@pytest.mark.parametrize(
    ("name", "served", "words"), [("new", ["acme", "nobody"], "no domain 'nobody'"), ("pbx1", EAST, "already")]
)
async def test_a_pbx_that_cannot_be_registered_is_not(store: Store, pbx: Pbx, name: str, served: list[str], words: str) -> None:
    before = await registered_pbxs(store)
    with pytest.raises(ConfigurationError, match=words):
        await add_pbx(store, name, served)
    with pytest.raises(ConfigurationError, match="no PBX 'new'"):
        await set_served_domains(store, "new", None)
    assert await registered_pbxs(store) == before


# What is typed, the exit code, and what is printed.
TYPED: list[tuple[list[str], int, str]] = [
    (["add", "new"], 2, "either --domain NAME"),
    (["add", "new", "--domain", "acme", "--all-domains"], 2, "either --domain NAME"),
    (["domains", "new"], 2, "either --domain NAME"),
    (["add", "new", "--domain", "nobody"], 2, "no domain 'nobody'"),
    (["domains", "new", "--all-domains"], 2, "no PBX 'new'"),
    (["add", "new", "--all-domains"], 0, ""),
    (["list"], 0, "new: all domains"),
]


def test_no_pbx_is_registered_without_its_domains(tmp_path: Path) -> None:
    for arguments, code, words in TYPED:
        process = start_command(["pbx", *arguments], tmp_path, tmp_path / "printed")
        process.join()
        printed = (tmp_path / "printed").read_text(encoding="utf-8")
        assert (process.exitcode, words in printed) == (code, True), printed
        assert not code or len(printed.splitlines()) == 1, printed


@pytest.fixture
async def east_agent(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """The agent of a PBX that serves acme."""
    async with site.client(await add_pbx(site.services.store, "east", EAST)) as client:
        yield client


async def settings_of(agent: httpx.AsyncClient, known: int = 0, wait_s: float = 0) -> DomainSettings:
    answer = await agent.get("/agent/v1/settings", params={"known": known, "wait_s": wait_s})
    return TypeAdapter(DomainSettings).validate_json(answer.content)


@pytest.mark.parametrize(("served", "names"), [(EAST, ["acme"]), (WEST, ["other"]), (BOTH, ["acme", "other"]), ((), [])])
async def test_the_settings_have_the_domains_of_the_pbx(site: Site, served: Sequence[str] | None, names: list[str]) -> None:
    async with site.client(await add_pbx(site.services.store, "east", served)) as agent:
        settings = await settings_of(agent)
    assert [domain.name for domain in settings.domains] == names
    assert not settings.domains_unset


async def test_a_pbx_from_before_keeps_all_domains_and_its_settings_say_so(site: Site, agent: httpx.AsyncClient) -> None:
    async with site.services.store.writing() as connection:
        await connection.execute(text("UPDATE pbxs SET serves = 'unset'"))
    settings = await settings_of(agent)
    assert ([domain.name for domain in settings.domains], settings.domains_unset) == (["acme", "other"], True)


async def test_other_domains_reach_a_waiting_agent_at_once(site: Site, east_agent: httpx.AsyncClient) -> None:
    settings = await settings_of(east_agent)
    waiting = asyncio.create_task(settings_of(east_agent, settings.version, wait_s=50))
    await eventually(lambda: site.services.settings._waiting)
    await set_served_domains(site.services.store, "east", WEST)
    assert [domain.name for domain in (await waiting).domains] == ["other"]


async def test_what_is_refused_is_a_problem_and_is_counted(site: Site, east_agent: httpx.AsyncClient) -> None:
    theirs = seed.but(CALL, domain="other")
    audio = seed.tone(1000)
    manifest = seed.manifest_of(theirs, theirs.segments[0])
    uploaded = await put_recording(east_agent, manifest, seed.mixed_of(audio, 1000), audio)
    outcome = TypeAdapter(CommandOutcome).dump_json(CommandOutcome(refusal=None, report=theirs))
    answered = await east_agent.post("/agent/v1/commands/1", content=outcome)
    for answer in (uploaded, answered):
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/domain-not-served")
        assert "does not serve domain 'other'" in answer.json()["detail"]
    (receipt,) = (await report(east_agent, theirs)).receipts
    assert receipt.refused and not receipt.retry
    await report(east_agent, CALL, call_at("east", 2, revision=int((datetime.now(UTC).timestamp() + 32 * 86_400) * 1000)))
    async with site.client() as anybody:
        metrics = (await anybody.get("/metrics")).text
    assert 'fonoteka_agent_refused_total{pbx="east",reason="domain_not_served"} 3.0' in metrics
    assert 'fonoteka_agent_refused_total{pbx="east",reason="invalid"} 1.0' in metrics
