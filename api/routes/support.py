"""`/api/support`, «Нужна помощь», and `/api/portal`, what somebody who cannot log in may know."""

import math
from datetime import UTC, datetime
from typing import Final

import structlog
from fastapi import APIRouter, Request

from api.dependencies.access import account_by, address_of, is_same_origin, session_token
from api.dependencies.services import Shared
from api.http.problems import Problem, Responses
from api.schemas import models
from api.support.request import HelpRequest
from fonoteka.core.errors import MailRefused, MailUnreachable
from store.provisioning.directory import notify_email_of

router = APIRouter(prefix="/api", tags=["support"])
log = structlog.get_logger()

_NOT_SENT: Final[Responses] = {status: {"model": models.Problem} for status in (403, 422, 429, 502, 503)}


@router.get("/portal", operation_id="getPortal")
async def get_portal(services: Shared) -> models.Portal:
    """Whom to turn to; open to everybody."""
    told = services.configuration.api
    return models.Portal(
        support_phone=told.support_phone or None, support_email=told.support_email, can_send_help=services.help_desk.is_open
    )


@router.post("/support", operation_id="askForHelp", status_code=204, responses=_NOT_SENT)
async def ask_for_help(wanted: models.SupportRequest, request: Request, services: Shared) -> None:
    """Ask support for help by e-mail; open to everybody. 204 means that the mail server has taken it.

    It goes to the domain's `notify_email` too: of the session, else of `domain`, about which nothing is told.
    429 after five in an hour from one address or sixty from all, 502 where the mail server refuses, 503 where none is configured
    (`mail-not-configured`), none answers (`mail-unreachable`) or too many are being sent (`busy`).
    """
    if is_same_origin(request.headers) is False:
        raise Problem(403, "cross-site", "this request did not come from the portal's own page")
    desk = services.help_desk
    if not desk.is_open:
        raise Problem(503, "mail-not-configured", "no mail server is configured; write or ring support instead")
    account = await account_by(services, session_token(request))
    domain = account.domain if account else wanted.domain or None
    notify_email = await notify_email_of(services.store, domain) if domain else None
    now = datetime.now(UTC)
    asked = HelpRequest(
        name=wanted.name,
        contact=wanted.contact,
        message=wanted.message,
        domain=domain,
        login=account.login if account else None,
        address=address_of(request),
        at=now,
    )
    if wait := desk.wait(asked.address, now):
        seconds = math.ceil(wait.total_seconds())
        raise Problem(429, "too-many-requests", f"try again in {seconds} s", headers={"Retry-After": str(seconds)})
    try:
        sent = await desk.send(asked, notify_email)
    except MailRefused as error:  # what the server said is for the operator's log: the asker may be anybody
        log.error("help_not_sent", error=str(error))
        raise Problem(502, "mail-refused", "the mail server did not take it") from error
    except MailUnreachable as error:
        log.error("help_not_sent", error=str(error))
        raise Problem(503, "mail-unreachable", "the mail server does not answer") from error
    if not sent:
        raise Problem(503, "busy", "many are asking for help; try again in a few seconds", headers={"Retry-After": "5"})
    log.info("help_sent", domain=domain, login=asked.login)
