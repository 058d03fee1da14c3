"""Answer errors as RFC 9457 problem documents. This file alone maps exceptions to answers."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.schemas import models
from fonoteka.core.errors import (
    AudioStored,
    BucketAway,
    CallHeld,
    ChecksumWrong,
    DomainChanged,
    DomainNotServed,
    IntakeDeferred,
    IntakeRefused,
    ObjectDamaged,
    ObjectMissing,
    ObjectsFull,
    RetentionEnded,
    StoreError,
)

MEDIA_TYPE: Final = "application/problem+json"

Responses = dict[int | str, dict[str, Any]]
NOT_FOUND: Final[Responses] = {404: {"model": models.Problem}}

log = structlog.get_logger()


class Problem(Exception):
    """An error answer. `type` is the last, stable part of the document's `type`."""

    def __init__(self, status: int, type_: str, detail: str | None = None, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail or type_)
        self.status, self.type, self.detail, self.headers = status, type_, detail, dict(headers or {})


def not_found() -> Problem:
    """The answer if an object does not exist or is not visible: clients cannot tell which."""
    return Problem(404, "not-found")


def not_logged_in() -> Problem:
    """The answer without a session, or with one that has ended."""
    return Problem(401, "not-logged-in", "log in first", headers={"WWW-Authenticate": "Bearer"})


def invalid(where: str, message: str) -> RequestValidationError:
    """An invalid parameter that Pydantic does not detect, answered like one that it detects."""
    return RequestValidationError([{"loc": tuple(where.split(".")), "msg": message, "type": "value_error"}])


_BY_STATUS: Final = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type"}
# After 413, 422 and `audio-stored` an agent sets the report aside for good; after any other error
# it sends it again.
_BY_EXCEPTION: Final[dict[type[Exception], tuple[int, str]]] = {
    IntakeRefused: (422, "intake-refused"),
    DomainNotServed: (422, "domain-not-served"),
    DomainChanged: (422, "domain-changed"),
    CallHeld: (422, "call-held"),
    RetentionEnded: (410, "retention-ended"),
    AudioStored: (409, "audio-stored"),
    IntakeDeferred: (409, "not-yet-taken"),
    ChecksumWrong: (422, "checksum-wrong"),
    ObjectsFull: (507, "storage-full"),
    BucketAway: (502, "bucket-away"),
    ObjectMissing: (502, "recording-damaged"),
    ObjectDamaged: (502, "recording-damaged"),
    StoreError: (503, "store-unavailable"),
}


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    for kind in _BY_EXCEPTION:
        app.add_exception_handler(kind, _on_mapped)
    app.add_middleware(_CrashHandler)


def answer(
    status: int,
    type_: str,
    detail: str | None = None,
    *,
    errors: list[models.ParameterError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem document."""
    problem = models.Problem(
        type=f"/problems/{type_}", title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors
    )
    return JSONResponse(problem.model_dump(exclude_none=True), status, headers, media_type=MEDIA_TYPE)


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(error.status, error.type, error.detail, headers=error.headers)


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    type_ = _BY_STATUS.get(error.status_code, HTTPStatus(error.status_code).phrase.lower().replace(" ", "-"))
    detail = None if error.detail == HTTPStatus(error.status_code).phrase else str(error.detail)
    return answer(error.status_code, type_, detail, headers=error.headers)


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_parameter_error(detail) for detail in error.errors()[:50]]
    text = "; ".join(f"{parameter.where}: {parameter.message}" for parameter in errors)[:1000]
    return answer(422, "invalid-parameters", text, errors=errors)


async def _on_mapped(request: Request, error: Exception) -> Response:
    status, type_ = next(_BY_EXCEPTION[kind] for kind in type(error).__mro__ if kind in _BY_EXCEPTION)
    log.error("request.failed", path=request.url.path, reason=type_, error=str(error))
    # Agents log the detail for their operator; the error text of index and objects is not for
    # clients.
    headers = {"Retry-After": {503: "5", 507: "60"}[status]} if status in (503, 507) else None
    return answer(status, type_, None if status in (502, 503) else str(error), headers=headers)


class _CrashHandler:
    """Answer 500 to an unexpected exception.

    This is middleware, since an exception handler for it would run outside of all middleware, and
    its answer would lack their headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        begun = scope["type"] != "http"

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            if begun:
                raise
            log.error("request.crashed", path=scope["path"], exc_info=error)
            await answer(500, "internal-error")(scope, receive, send)


def _parameter_error(error: Mapping[str, Any]) -> models.ParameterError:
    where = ".".join(str(part) for part in error["loc"] if part not in ("query", "body", "path"))
    return models.ParameterError(where=where or "body", message=str(error["msg"]))
