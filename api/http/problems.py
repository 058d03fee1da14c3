"""Errors as RFC 9457 problem documents. Raise anything anywhere; this file alone maps it to an answer."""

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
from fonoteka.core.errors import ChecksumWrong, IntakeDeferred, IntakeRefused, ObjectsFull, StoreError

MEDIA_TYPE: Final = "application/problem+json"

Responses = dict[int | str, dict[str, Any]]
NOT_FOUND: Final[Responses] = {404: {"model": models.Problem}}

log = structlog.get_logger()


class Problem(Exception):
    """An answer that is no success. `type` is the stable last part of the document's `type`."""

    def __init__(self, status: int, type_: str, detail: str | None = None, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail or type_)
        self.status, self.type, self.detail, self.headers = status, type_, detail, dict(headers or {})


def not_found() -> Problem:
    """Not there, or not theirs: nobody can tell which."""
    return Problem(404, "not-found")


def not_logged_in() -> Problem:
    """No session, or one that has ended."""
    return Problem(401, "not-logged-in", "log in first", headers={"WWW-Authenticate": "Bearer"})


def invalid(where: str, message: str) -> RequestValidationError:
    """A parameter whose meaning is wrong, told as a wrong shape would be."""
    return RequestValidationError([{"loc": tuple(where.split(".")), "msg": message, "type": "value_error"}])


_BY_STATUS: Final = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type"}
# An agent sets aside for good what is answered with 422 (or 413), and sends again whatever else went wrong.
_BY_EXCEPTION: Final[dict[type[Exception], tuple[int, str]]] = {
    IntakeRefused: (422, "intake-refused"),
    IntakeDeferred: (409, "not-yet-taken"),
    ChecksumWrong: (422, "checksum-wrong"),
    ObjectsFull: (507, "storage-full"),
    StoreError: (503, "store-unavailable"),
}


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    for kind in _BY_EXCEPTION:
        app.add_exception_handler(kind, _on_known)
    app.add_middleware(_Crashes)


def answer(
    status: int,
    type_: str,
    detail: str | None = None,
    *,
    errors: list[models.ParameterError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The document itself."""
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
    errors = [_parameter(one) for one in error.errors()[:50]]
    return answer(422, "invalid-parameters", "; ".join(f"{one.where}: {one.message}" for one in errors)[:1000], errors=errors)


async def _on_known(request: Request, error: Exception) -> Response:
    status, type_ = next(_BY_EXCEPTION[kind] for kind in type(error).__mro__ if kind in _BY_EXCEPTION)
    log.error("request_failed", path=request.url.path, problem=type_, error=str(error))
    # What an agent is told goes into its operator's log; what the index said may be nobody else's business.
    return answer(status, type_, None if type_ == "store-unavailable" else str(error))


class _Crashes:
    """What nobody foresaw. No exception handler: its answer would be sent outside all middleware, without their headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
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
            log.error("request_crashed", path=scope["path"], exc_info=error)
            await answer(500, "internal-error")(scope, receive, send)


def _parameter(error: Mapping[str, Any]) -> models.ParameterError:
    where = ".".join(str(part) for part in error["loc"] if part not in ("query", "body", "path"))
    return models.ParameterError(where=where or "body", message=str(error["msg"]))
