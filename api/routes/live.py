"""`/api/live`: a WebSocket that tells of calls as they begin, change and end, and of recordings as they become ready.

`/api/live/calls` are those that go on; `/api/live/{id}/recording` asks something of the recording of one.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from fastapi import APIRouter, Request, WebSocket, WebSocketDisconnect

from api.audit.trail import Entry
from api.dependencies.access import Person, account_by, actor, session_token
from api.dependencies.services import Services, Shared, services_of
from api.http.problems import NOT_FOUND, Problem, Responses, not_found
from api.live.hub import Listener
from api.presenters import call as shapes
from api.presenters.live_call import refused
from api.schemas import models
from fonoteka.core.agent_protocol import Refusal
from store import recorder_commands as commands
from store.people.accounts import Account
from store.queries.calls import SeenCall, call_of, is_merged, live_calls, path_of

router = APIRouter(prefix="/api")
log = structlog.get_logger()

_ANSWERED_WITHIN_S: Final = 3.0
_DONE_WITHIN_S: Final = 5.0  # what the agent has taken is soon done, or it died over it
_ASKING: Final[Responses] = NOT_FOUND | {status: {"model": models.Problem} for status in (401, 409, 429, 504)}
_SESSION_CHECKED_EACH_S: Final = 30.0
_FAILED: Final = 1011
_TOO_MANY: Final = 4429
_NOT_LOGGED_IN: Final = 4401  # the private range of RFC 6455, 7.4.2; the last digits as HTTP's


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    """Messages are LiveCall, LiveRecording, LiveGone, LiveResync; what the client says is not read.

    It is closed with 4401 when the session ends, with 4429 where the account has too many open, with 1011 when telling fails.
    """
    services = services_of(socket)
    try:
        token = session_token(socket)
    except Problem:
        token = None
    account = await account_by(services, token)
    await socket.accept()
    if account is None:
        await socket.close(_NOT_LOGGED_IN)
        return
    with services.live_places.entered(account.user_id) as inside:
        if inside:
            await _serve(socket, services, token, account)
        else:
            await socket.close(_TOO_MANY)


async def _serve(socket: WebSocket, services: Services, token: str | None, account: Account) -> None:
    with services.live.listening(account.domain_id) as listener:
        telling = asyncio.create_task(_tell(socket, services, token, listener), name="live: telling")
        hearing = asyncio.create_task(_hear(socket), name="live: hearing")
        try:
            await asyncio.wait((telling, hearing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            telling.cancel()
            hearing.cancel()
            told, _ = await asyncio.gather(telling, hearing, return_exceptions=True)
    if isinstance(told, Exception) and not isinstance(told, WebSocketDisconnect):
        log.error("live_failed", login=account.login, exc_info=told)
        with suppress(RuntimeError, WebSocketDisconnect):  # it may be gone already
            await socket.close(_FAILED)  # the page connects anew; silent, it would believe that nothing happens


@router.get("/live/calls", operation_id="listLiveCalls", tags=["live"], responses={401: {"model": models.Problem}})
async def list_live_calls(account: Person, services: Shared) -> models.LiveCalls:
    """The calls that are going on, the newest first, at most 500."""
    zone = ZoneInfo(account.timezone)
    found = await live_calls(services.store, account.scope, datetime.now(UTC))
    return models.LiveCalls(items=[shapes.call_with_path(seen, path, zone) for seen, path in found])


@router.post("/live/{id}/recording", operation_id="askOfRecording", tags=["live"], responses=_ASKING)
async def ask_of_recording(
    id: str, wanted: models.RecordingRequest, account: Person, request: Request, services: Shared
) -> models.CallWithPath:
    """Start, stop, pause or resume the recording of a call that is going on: one's own side, as an administrator the whole call.

    Answers once the PBX has done it: 409 with the reason where it cannot be done, 504 if the PBX does not answer: before it has
    taken it (pbx-does-not-answer: nothing was changed) or after that (pbx-did-not-say).
    """
    seen = await call_of(services.store, account.scope, id, datetime.now(UTC))
    if seen is None:
        raise not_found()
    with services.asking_places.entered(account.user_id) as inside:
        if not inside:
            detail = "you wait for the PBX's answer too often already; ask again when it has come"
            raise Problem(429, "too-many-asked", detail, headers={"Retry-After": "5"})
        answer = await _asked(services, account, seen, wanted) if seen.ended_at is None else Refusal.CALL_IS_OVER
    told = {"action": wanted.action.value, "answer": answer}
    entry = Entry(
        at=datetime.now(UTC), scope=account.scope, by=actor(request, account), action="recording_asked", call=id, detail=told
    )
    services.audit.tell(entry)
    if answer == commands.WITHDRAWN:
        raise Problem(504, "pbx-does-not-answer", "the agent of the PBX did not answer; nothing was changed")
    if answer == commands.TAKEN:
        raise Problem(504, "pbx-did-not-say", "the agent of the PBX took it and did not say in time whether it was done")
    if answer != commands.DONE:
        raise refused(Refusal(answer))
    seen = await call_of(services.store, account.scope, id, datetime.now(UTC))
    if seen is None:
        raise not_found()
    return shapes.call_with_path(seen, await path_of(services.store, account.scope, id), ZoneInfo(account.timezone))


async def _asked(services: Services, account: Account, seen: SeenCall, wanted: models.RecordingRequest) -> str:
    """What the agent of the call's PBX answers; WITHDRAWN if it did not take it, TAKEN if it took it and is silent."""
    mine, now = account.scope.login, datetime.now(UTC)
    command = await commands.ask(services.store, pbx=seen.pbx, linkedid=seen.linkedid, action=wanted.action, login=mine, now=now)
    services.commands.wake()
    look = partial(commands.answer_of, services.store, command)
    answer = await services.commands.until(look, _ANSWERED_WITHIN_S) or await commands.withdraw(services.store, command)
    if answer != commands.TAKEN:
        return answer
    return await services.commands.until(look, _DONE_WITHIN_S) or commands.TAKEN


async def _hear(socket: WebSocket) -> None:
    """Until the client is gone; whatever it says, text or not, is nothing to us."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _tell(socket: WebSocket, services: Services, token: str | None, listener: Listener) -> None:
    told: set[str] = set()
    while True:
        try:
            async with asyncio.timeout(_SESSION_CHECKED_EACH_S):
                changed, overflowed = await listener.take()
        except TimeoutError:
            changed, overflowed = {}, False
        account = await account_by(services, token)  # it may have ended, or changed its role
        if account is None:
            await socket.close(_NOT_LOGGED_IN)
            return
        if overflowed:
            await socket.send_text(models.LiveResync().model_dump_json())
        for public_id, recording_only in changed.items():
            await _tell_one(socket, services, account, told, public_id, recording_only=recording_only)


async def _tell_one(
    socket: WebSocket, services: Services, account: Account, told: set[str], public_id: str, *, recording_only: bool
) -> None:
    """`told` are the calls in progress that this listener was told of, and so must hear the end of."""
    seen = await call_of(services.store, account.scope, public_id, datetime.now(UTC))
    if seen is None:
        if public_id in told or await is_merged(services.store, account.scope, public_id):
            told.discard(public_id)
            await socket.send_text(models.LiveGone(id=public_id).model_dump_json())
        return
    if seen.ended_at is None:
        told.add(public_id)
    else:
        told.discard(public_id)
    call = shapes.call(seen, ZoneInfo(account.timezone))
    message = models.LiveRecording(id=call.id, recording=call.recording) if recording_only else models.LiveCall(call=call)
    await socket.send_text(message.model_dump_json())
