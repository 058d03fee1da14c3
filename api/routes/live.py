"""`/api/live`: a WebSocket with the calls and recordings that change.

`/api/live/calls` lists the calls in progress; `/api/live/{id}/recording` controls the recording of
a call in progress.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from fastapi import APIRouter, Request, WebSocket, WebSocketDisconnect

from api.dependencies.access import CurrentAccount, account_by, actor, session_token
from api.dependencies.services import Services, Shared, services_of
from api.http.problems import NOT_FOUND, Problem, Responses, not_found
from api.live.hub import Listener
from api.presenters.call import call, call_with_path
from api.presenters.live_call import refused
from api.schemas import models
from fonoteka.core.agent_protocol import Refusal
from store import recorder_commands as commands
from store.audit.write import NewEntry
from store.people.accounts import Account
from store.queries.calls import SeenCall, call_of, is_merged, live_calls, path_of

router = APIRouter(prefix="/api")
log = structlog.get_logger()

_TAKEN_WITHIN_S: Final = 3.0
_DONE_WITHIN_S: Final = 5.0  # an agent executes a command soon after it took it, or has died
_RECORDING_PROBLEMS: Final[Responses] = NOT_FOUND | {status: {"model": models.Problem} for status in (401, 409, 429, 504)}
_SESSION_CHECKED_EACH_S: Final = 30.0  # `fonoteka apply` may have ended it
_SESSION_SEEN_EACH_S: Final = 600.0  # a session with an open socket is in use
_FAILED: Final = 1011
_TOO_MANY: Final = 4429
_NOT_LOGGED_IN: Final = 4401  # the private range of RFC 6455, 7.4.2; the last digits as in HTTP


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    """Send LiveCall, LiveRecording, LiveGone and LiveResync; messages of the client are ignored.

    Close codes: 4401 when the session ends, 4429 if the account has too many sockets, 1011 when
    sending fails.
    """
    services = services_of(socket)
    try:
        token = session_token(socket)
    except Problem:
        token = None
    account = await account_by(services, token)
    if account is None:
        await socket.accept()
        await socket.close(_NOT_LOGGED_IN)
        return
    async with services.live_sockets.try_enter(account.user_id) as entered:
        if entered:
            await _serve(socket, services, token, account)
        else:
            await socket.accept()
            await socket.close(_TOO_MANY)


async def _serve(socket: WebSocket, services: Services, token: str | None, account: Account) -> None:
    with services.live.listening(account.domain_id) as listener:
        # Listening comes first: the page loads its calls as soon as the socket is open, and no
        # change may be lost in between.
        await socket.accept()
        sending = asyncio.create_task(_send_changes(socket, services, token, listener), name="live: sending")
        receiving = asyncio.create_task(_wait_for_disconnect(socket), name="live: receiving")
        try:
            await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            receiving.cancel()
            error, _ = await asyncio.gather(sending, receiving, return_exceptions=True)
    if isinstance(error, Exception) and not isinstance(error, WebSocketDisconnect):
        log.error("live_socket.failed", login=account.login, exc_info=error)
        with suppress(RuntimeError, WebSocketDisconnect):  # the client may have disconnected
            await socket.close(_FAILED)  # the page reconnects; an open silent socket would hide changes


@router.get("/live/calls", operation_id="listLiveCalls", tags=["live"], responses={401: {"model": models.Problem}})
async def list_live_calls(account: CurrentAccount, services: Shared) -> models.LiveCalls:
    """List the calls in progress, the newest first, at most 500."""
    zone = ZoneInfo(account.timezone)
    calls = await live_calls(services.store, account.scope, datetime.now(UTC))
    return models.LiveCalls(items=[call_with_path(seen, path, zone) for seen, path in calls])


@router.post("/live/{id}/recording", operation_id="askOfRecording", tags=["live"], responses=_RECORDING_PROBLEMS)
async def control_recording(
    id: str, requested: models.RecordingRequest, account: CurrentAccount, request: Request, services: Shared
) -> models.CallWithPath:
    """Start, stop, pause or resume the recording of a call in progress.

    A user controls their own side, an administrator all sides. The answer is sent when the PBX has
    executed the action: 409 with the reason if it cannot, 504 if it does not answer, either before
    it took the command (`pbx-does-not-answer`: nothing was changed) or after (`pbx-did-not-say`).
    """
    seen = await call_of(services.store, account.scope, id, datetime.now(UTC))
    if seen is None:
        raise not_found()
    async with services.recording_commands.try_enter(account.user_id) as entered:
        if not entered:
            detail = "you wait for the PBX's answer too often already; ask again when it has come"
            raise Problem(429, "too-many-asked", detail, headers={"Retry-After": "5"})
        event = NewEntry(
            at=datetime.now(UTC),
            domain_id=account.domain_id,
            by=actor(request, account),
            action="recording_asked",
            subject=id,
            detail={"action": requested.action.value},
        )
        number = await services.audit.record(event)
        outcome = await _execute(services, account, seen, requested) if seen.ended_at is None else Refusal.CALL_IS_OVER
    services.audit.add(replace(event, at=datetime.now(UTC), continues=number, detail={"answer": outcome}))
    _raise_unless_done(outcome)
    seen = await call_of(services.store, account.scope, id, datetime.now(UTC))
    if seen is None:
        raise not_found()
    return call_with_path(seen, await path_of(services.store, account.scope, id), ZoneInfo(account.timezone))


def _raise_unless_done(outcome: str) -> None:
    """Raise the Problem of an outcome other than DONE."""
    if outcome == commands.WITHDRAWN:
        raise Problem(504, "pbx-does-not-answer", "the agent of the PBX did not answer; nothing was changed")
    if outcome == commands.TAKEN:
        raise Problem(504, "pbx-did-not-say", "the agent of the PBX took it and did not say in time whether it was done")
    if outcome != commands.DONE:
        raise refused(Refusal(outcome))


async def _execute(services: Services, account: Account, seen: SeenCall, requested: models.RecordingRequest) -> str:
    """Return the agent's outcome; WITHDRAWN if it took no command, TAKEN if it is silent."""
    login, now = account.scope.login, datetime.now(UTC)
    command = await commands.ask(
        services.store,
        pbx=seen.pbx,
        linkedid=seen.linkedid,
        domain_id=account.domain_id,
        action=requested.action,
        login=login,
        now=now,
    )
    outcome_of = partial(commands.answer_of, services.store, command)
    outcome = await services.commands.first_result(outcome_of, _TAKEN_WITHIN_S)
    outcome = outcome or await commands.withdraw(services.store, command)
    if outcome != commands.TAKEN:
        return outcome
    return await services.commands.first_result(outcome_of, _DONE_WITHIN_S) or commands.TAKEN


async def _wait_for_disconnect(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _send_changes(socket: WebSocket, services: Services, token: str | None, listener: Listener) -> None:
    """Send changes until the session ends."""
    in_progress: set[str] = set()
    while True:
        try:
            hears_of_sessions = services.store.signals.hears_others
            async with asyncio.timeout(_SESSION_SEEN_EACH_S if hears_of_sessions else _SESSION_CHECKED_EACH_S):
                changed, overflowed = await listener.take()
        except TimeoutError:
            changed, overflowed = {}, False
        account = await account_by(services, token)  # the session may have ended, the role changed
        if account is None:
            await socket.close(_NOT_LOGGED_IN)
            return
        if overflowed:
            await socket.send_text(models.LiveResync().model_dump_json())
        for public_id, recording_only in changed.items():
            await _send_change(socket, services, account, in_progress, public_id, recording_only=recording_only)


async def _send_change(
    socket: WebSocket,
    services: Services,
    account: Account,
    in_progress: set[str],
    public_id: str,
    *,
    recording_only: bool,
) -> None:
    """Send a changed call; `in_progress` are the sent calls whose end must be sent too."""
    seen = await call_of(services.store, account.scope, public_id, datetime.now(UTC))
    if seen is None:
        if public_id in in_progress or await is_merged(services.store, account.scope, public_id):
            in_progress.discard(public_id)
            await socket.send_text(models.LiveGone(id=public_id).model_dump_json())
        return
    if seen.ended_at is None:
        in_progress.add(public_id)
    else:
        in_progress.discard(public_id)
    row = call(seen, ZoneInfo(account.timezone))
    message = models.LiveRecording(id=row.id, recording=row.recording) if recording_only else models.LiveCall(call=row)
    await socket.send_text(message.model_dump_json())
