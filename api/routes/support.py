"""`/api/support` («Нужна помощь») and `/api/portal`, both open to users who cannot log in."""

import math
from datetime import UTC, datetime
from typing import Final

import structlog
from fastapi import APIRouter, Request

from api.dependencies.access import account_by, address_of, cross_site, is_same_origin, session_token
from api.dependencies.services import Services, Shared
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
    """Return the contacts of support, for the login page."""
    section = services.configuration.api
    return models.Portal(
        support_phone=section.support_phone or None,
        support_email=section.support_email,
        can_send_help=services.support.is_open,
    )


@router.post("/support", operation_id="askForHelp", status_code=204, responses=_NOT_SENT)
async def send_support_request(message: models.SupportRequest, request: Request, services: Shared) -> None:
    """Send a request for help to support by e-mail; 204 means that the mail server has taken it.

    A copy goes to `notify_email` of the session's domain; without a session to nobody, as `domain`
    is only what a stranger says. 429 after five requests in an hour of one user, or thirty of one
    domain; without a session of one address, and after the first one while many others ask. 502 if
    the mail server refuses the e-mail; 503 if no mail server is configured (`mail-not-configured`),
    it does not answer (`mail-unreachable`), or too many requests are being sent (`busy`).
    """
    if is_same_origin(request) is False:
        raise cross_site()
    if not services.support.is_open:
        raise Problem(503, "mail-not-configured", "no mail server is configured; write or ring support instead")
    account = await account_by(services, session_token(request))
    domain = account.domain if account else message.domain or None
    notify_email = await notify_email_of(services.store, account.domain) if account else None
    help_request = HelpRequest(
        name=message.name,
        contact=message.contact,
        message=message.message,
        domain=domain,
        login=account.login if account else None,
        address=address_of(request),
        at=datetime.now(UTC),
    )
    await _send(services, help_request, notify_email)
    log.info("help.sent", domain=domain, login=help_request.login)


async def _send(services: Services, help_request: HelpRequest, notify_email: str | None) -> None:
    """Send the e-mail. Raises Problem 429, 502, 503."""
    if wait := await services.support.begin(help_request):
        seconds = math.ceil(wait.total_seconds())
        raise Problem(429, "too-many-requests", f"try again in {seconds} s", headers={"Retry-After": str(seconds)})
    try:
        sent = await services.support.send(help_request, notify_email)
    except MailRefused as error:  # the server's text is for operators: anybody may send a request
        log.error("help.not_sent", error=str(error))
        raise Problem(502, "mail-refused", "the mail server did not take it") from error
    except MailUnreachable as error:
        log.error("help.not_sent", error=str(error))
        raise Problem(503, "mail-unreachable", "the mail server does not answer") from error
    if not sent:
        raise Problem(503, "busy", "many are asking for help; try again in a few seconds", headers={"Retry-After": "5"})
