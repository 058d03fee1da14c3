"""Every endpoint of the OpenAPI document, asked by every role about a domain that is not its own.

The requests are made from the document, so a new endpoint is asked too. A test fails with a line
that says what to add if a request needs a value that is not here, or if a new endpoint is for plain
users or for everybody.
"""

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from typing import Any, Final
from zipfile import ZipFile

import httpx
import pytest
from pydantic import TypeAdapter
from sqlalchemy import select

from api.app import create_app
from fonoteka.core.agent_protocol import CommandOutcome
from fonoteka.core.call_report import Action, CallReport
from fonoteka.core.config import Configuration
from fonoteka.core.manifest import Manifest, Mixed
from fonoteka.core.naming import call_id
from store import recorder_commands
from store.database.schema import metadata, users
from store.database.store import Store
from store.people.accounts import Pbx, add_pbx
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.api.conftest import Site, ship
from tests.data import seed
from tests.intruder.on_both_databases import site
from tests.support.stored_objects import objects_folder

__all__ = ["site"]

MARK: Final = "Zqmark"  # part of every text of the victim
PHONE: Final = "+79137770077"
OWN_NUMBER: Final = "2457077"
DEVICE: Final = f"{MARK}-browser/1.0"
NOW: Final = datetime.now(UTC) - timedelta(minutes=5)
AUDIO: Final = seed.tone(5000)  # as `ship` makes it
VICTIM_CALL: Final = seed.but(
    seed.a_call(77, NOW), src=PHONE, src_name=f"{MARK} caller", dst=OWN_NUMBER, number=OWN_NUMBER, queue=f"{MARK} queue"
)
ALWAYS: Final = {"from": "2020-01-01", "to": "2100-01-01"}
DOMAIN_ID: Final = 1  # of acme, the victim

DIRECTORY: Final = (
    seed.DIRECTORY.replace("Петров П.П.", f"{MARK} 152")
    .replace("PJSIP/acme-152", f"PJSIP/{MARK}-152")
    .replace('"2458152"', f'"{OWN_NUMBER}"')
    .replace("Акме", f"{MARK} Ltd")
    + """
  [[domain.user]]
  login = "200"
  name = "Чужой"
  password = "fonoteka"
"""
)

# What each role may have, beyond refusals.
FOR_EVERYBODY: Final = {"login", "logout", "getPortal", "askForHelp", "healthz", "readyz", "metrics"}
FOR_USERS: Final = {
    *("me", "changePassword", "listOwnSessions", "endOtherSessions", "listUsers", "listNumbers"),
    *("listCalls", "listLiveCalls", "exportCsv", "exportXlsx", "exportZip"),
    *("countByHour", "countByWeekHour", "countIncoming", "countOutgoing", "countDurations", "sumSpeech", "countCallBacks"),
    "countWaiting",
    "countQuality",
}
# The answers in which a plain user sees some of the victim's texts, as it is the user's own domain.
OF_ONES_OWN_DOMAIN: Final = {"me", "changePassword", "listNumbers"}
OF_EVERYBODY: Final = ("/api/subjects/{number}",)  # one outside party may have called several domains
ENDING: Final = ("endSession", "logout")  # what other requests need is gone after them
REFUSED: Final = {401, 403, 404}
REFUSED_AGENT: Final = {401, 409, 422}  # an agent sets aside what is refused with 422

REFUSED_TO_THE_DOMAIN: Final = [
    ("agentRecording", 409),  # stored audio never changes
    ("askForHelp", 503),  # no mail server is configured
    ("askOfRecording", 409),  # the call is over
    ("changePassword", 403),
    ("endOwnSession", 404),  # it is of 152
    ("login", 401),
]

CREDENTIALS: Final = {"domain": "acme", "login": "152", "password": "wrong"}
BODIES: Final[dict[str, Any]] = {
    "Credentials": CREDENTIALS,
    "PasswordChange": {"current": "not the password", "new": "another password 1"},
    "SupportRequest": {"name": "N", "contact": "n@example.org", "message": "help"},
    "LegalHoldRequest": {"hold": True, "note": "a stranger's"},
    "UserChange": {"record": "off", "name": "taken over"},
    "RecordingRequest": {"action": "stop"},
    "CommandOutcome": TypeAdapter(CommandOutcome).dump_python(CommandOutcome(refusal=None, report=None), mode="json"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request about the victim; `names_victim` if its path has an identifier that only it has."""

    operation: str
    method: str
    path: str
    names_victim: bool
    query: Mapping[str, Any]
    sent: Mapping[str, Any]  # keyword arguments of httpx

    async def ask(self, client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(self.method, self.path, params=self.query, **self.sent)

    def says(self, text: str) -> bool:
        """Whether the request itself has a text, so that its answer may repeat it."""
        return text in self.path or text in str(self.query)


@dataclass(frozen=True, kw_only=True, slots=True)
class Victim:
    """Identifiers of the victim by their place in a path, and what no other domain may see."""

    at: Mapping[str, str]
    by_parameter: Mapping[str, str]
    secrets: tuple[bytes, ...]


@cache
def document() -> dict[str, Any]:
    return create_app(Configuration()).openapi()


def called(call: CallReport, revision: int = 0) -> dict[str, Any]:
    """Return a report of the victim's call with another name of the caller."""
    report: dict[str, Any] = TypeAdapter(CallReport).dump_python(call, mode="json")
    return report | {"revision": call.revision + revision, "src_name": "replaced"}


def recording() -> dict[str, Any]:
    """Return the victim's recording as a PBX ships it, with other audio."""
    audio = seed.tone(3000)
    documents = {
        "manifest": TypeAdapter(Manifest).dump_json(seed.manifest_of(VICTIM_CALL, VICTIM_CALL.segments[0], talk_ms=3000)),
        "mixed": TypeAdapter(Mixed).dump_json(seed.mixed_of(audio, 3000)),
        "peaks": seed.peaks(3000),
    }
    fields = {name: (None, content, "application/json") for name, content in documents.items()}
    return {"files": fields | {"audio": ("audio.opus", audio, "audio/ogg")}}


def body_of(operation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a request, as keyword arguments of httpx."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return {}
    if operation["operationId"] == "agentCalls":
        return {"json": [called(VICTIM_CALL, revision=1000)]}
    if operation["operationId"] == "agentRecording":
        return recording()
    schema = content.get("application/json", {}).get("schema", {})
    name = schema.get("$ref", schema.get("title", "")).rpartition("/")[2]
    assert name in BODIES, f"add a valid body {name or '(unnamed)'!r} of operation {operation['operationId']!r} to BODIES"
    return {"json": BODIES[name]}


def described(victim: Victim) -> list[Request]:
    """Return requests to all operations; those after which others would fail come last."""
    return sorted(requests_of_document(victim), key=lambda request: (request.operation in ENDING, request.operation == "logout"))


def requests_of_document(victim: Victim) -> Iterator[Request]:
    """Yield requests to all operations, and again with all parameters that name the victim."""
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            given = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
            period = {name: value for name, value in ALWAYS.items() if name in given}
            named = {name: victim.by_parameter[name] for name in given if name in victim.by_parameter}
            for query in [{}, named] if named else [{}]:
                yield Request(
                    operation=operation["operationId"],
                    method=method.upper(),
                    path=filled(path, victim),
                    names_victim="{" in path and not path.startswith(OF_EVERYBODY),
                    query=period | query,
                    sent=body_of(operation),
                )


def filled(path: str, victim: Victim) -> str:
    """Return a path with identifiers of the victim in place of its parameters."""
    parts = path.split("/")
    for place, part in enumerate(parts):
        if part.startswith("{"):
            key = f"{path.split('/')[place - 1]}/{part}"
            assert key in victim.at, f"add a real value of the victim for {key!r} (in {path}) to `victim`"
            parts[place] = victim.at[key]
    return "/".join(parts)


@pytest.fixture
async def victim(site: Site, store: Store, pbx: Pbx) -> AsyncIterator[Victim]:
    """The domain acme with a held call and its recording, a session, and a command."""
    await apply(store, parse_directory(DIRECTORY, source="test"))
    async with site.client(seed.PBX_TOKEN) as agent, await site.log_in("900") as admin:
        await ship(agent, VICTIM_CALL, 5000)
        public_id = call_id("pbx1", VICTIM_CALL.linkedid)
        held = await admin.put(f"/api/calls/{public_id}/hold", json={"hold": True, "note": f"{MARK} note"})
        assert held.status_code == 200
        async with site.client(**{"User-Agent": DEVICE}) as browser:
            answer = await browser.post("/api/login", json=CREDENTIALS | {"password": seed.PASSWORD})
            assert answer.status_code == 200
        (session,) = (await admin.get("/api/users/152/sessions")).json()
        ask = recorder_commands.ask
        linkedid = VICTIM_CALL.linkedid
        command = await ask(store, pbx="pbx1", linkedid=linkedid, domain_id=1, action=Action.STOP, login="152", now=NOW)
        yield Victim(
            at={
                "calls/{id}": public_id,
                "live/{id}": public_id,
                "users/{login}": "152",
                "sessions/{session}": session["id"],
                "commands/{id}": str(command),
                "recordings/{segment}": VICTIM_CALL.segments[0].name,
                "subjects/{number}": PHONE,
            },
            by_parameter={
                "user": "152",
                "employee_login": "152",
                "login": "152",
                "number": OWN_NUMBER,
                "src": PHONE[1:8],
                "call": public_id,
            },
            secrets=(MARK.encode(), PHONE[1:].encode(), AUDIO[300:400]),
        )


async def kept(store: Store) -> dict[str, Any]:
    """Return all that is kept of the victim.

    Left out are the audit, where its users log in, and what the limits count of all who ask.
    """
    own = {}
    async with store.reading() as connection:
        user_ids = (await connection.execute(select(users.c.id).where(users.c.domain_id == DOMAIN_ID))).scalars().all()
        for table in metadata.sorted_tables:
            if table.name in ("audit", "limiter_states", "login_origins", "settings"):
                continue
            query = select(table)
            if "domain_id" in table.c:
                query = query.where(table.c.domain_id == DOMAIN_ID)
            elif table.name == "sessions":
                query = select(table.c.public_id).where(table.c.user_id.in_(user_ids))
            elif table.name == "domains":
                query = query.where(table.c.id == DOMAIN_ID)
            own[table.name] = sorted(map(str, (await connection.execute(query)).all()))
    files = [path for path in objects_folder(store).root.rglob("*") if path.is_file()]
    return own | {"files": sorted(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)}


def contents(answer: httpx.Response) -> bytes:
    """Return the content of an answer; of a ZIP archive or workbook, that of its files."""
    if not answer.content.startswith(b"PK"):
        return answer.content + str(answer.headers).encode()
    with ZipFile(BytesIO(answer.content)) as archive:
        return b"\0".join(archive.read(name) for name in archive.namelist())


def leaks(request: Request, answer: httpx.Response, victim: Victim) -> bool:
    """Whether an answer has something of the victim that its request has not."""
    content = contents(answer)
    return any(secret in content and not request.says(secret.decode("latin-1")) for secret in victim.secrets)


def may_be(who: str, request: Request, status: int) -> bool:
    """Whether a role may get an answer with a status."""
    of_agents = request.operation.startswith("agent")
    if status >= 500:
        return request.operation == "askForHelp"  # no mail server is configured
    if request.operation in FOR_EVERYBODY:
        return True
    if who == "nobody" or of_agents != who.startswith("PBX"):
        return status == 401
    if request.operation == "agentCommandOutcome":
        return status == 204  # an agent may answer a command that is gone; nothing changes
    if request.names_victim:
        return status in (REFUSED_AGENT if of_agents else REFUSED)
    if who.startswith("user") and request.operation not in FOR_USERS:
        return status in REFUSED
    return status < 400 or request.operation == "changePassword"


async def seen_by(who: str, client: httpx.AsyncClient, victim: Victim) -> list[str]:
    """Ask everything; return a line for each answer that the role must not get."""
    wrong = []
    for request in described(victim):
        answer = await request.ask(client)
        line = f"{who} | {request.method} {request.path} {dict(request.query) or ''} | {answer.status_code}"
        own = who == "user of the domain" and request.operation in OF_ONES_OWN_DOMAIN
        if not may_be(who, request, answer.status_code):
            wrong.append(f"{line} {answer.text[:200]}")
        elif leaks(request, answer, victim) and not own:
            wrong.append(f"{line} and something of the victim")
    return wrong


async def test_no_role_gets_anything_of_another_domain(site: Site, store: Store, victim: Victim) -> None:
    """A new endpoint that is for plain users, or for everybody, is to be named above.

    The same requests of the domain itself show that the others are not refused for their form.
    """
    foreign_pbx = await add_pbx(store, "foreign", ["other"])
    before, wrong = await kept(store), []
    roles = {
        "nobody": site.client(),
        "user of another domain": await site.log_in("200", "other"),
        "administrator of another domain": await site.log_in("900", "other"),
        "user of the domain": await site.log_in("421"),
        "PBX of another domain": site.client(foreign_pbx),
    }
    sessions = before.pop("sessions")
    for who, client in roles.items():
        async with client:
            wrong += await seen_by(who, client, victim)
    assert "\n".join(wrong) == ""
    after = await kept(store)
    assert set(sessions) <= set(after.pop("sessions"))
    assert after == before
    await its_own_domain_gets_it(site, victim)


async def its_own_domain_gets_it(site: Site, victim: Victim) -> None:
    refused, showing = [], set()
    async with await site.log_in("900") as admin, site.client(seed.PBX_TOKEN) as agent:
        for request in described(victim):
            answer = await request.ask(agent if request.operation.startswith("agent") else admin)
            if answer.status_code >= 400:
                refused.append((request.operation, answer.status_code))
            elif leaks(request, answer, victim):
                showing.add(request.operation)
    assert sorted(refused) == REFUSED_TO_THE_DOMAIN
    assert {
        "listCalls",
        "getCall",
        "getAudio",
        "exportCsv",
        "exportXlsx",
        "exportZip",
        "listAudit",
        "exportAudit",
        "exportSubject",
    } <= showing
    assert {"me", "listSessions", "listUsers", "listNumbers", "countIncoming", "agentSettings"} <= showing


def test_the_table_has_no_endpoint_that_is_gone() -> None:
    """Each operation named above exists."""
    operations = {operation["operationId"] for path in document()["paths"].values() for operation in path.values()}
    assert FOR_EVERYBODY | FOR_USERS | {operation for operation, _ in REFUSED_TO_THE_DOMAIN} <= operations
