"""What the API's own description (OpenAPI) says of every route, so that no route need say it: how one asks, and how it refuses."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI

from api.dependencies.access import BROWSER
from api.http.problems import MEDIA_TYPE

_METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})
_SAFE: Final = "get"
_REFUSAL: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_FRAMEWORKS_OWN: Final = ("HTTPValidationError", "ValidationError")  # shapes of errors that never leave as they are
_WITHOUT_INDEX: Final = ("/healthz", "/metrics")
assert MEDIA_TYPE in _REFUSAL


class Described(FastAPI):
    """An application whose errors are problem documents (`api.http.problems`), in its description too."""

    def openapi(self) -> dict[str, Any]:
        """The document of OpenAPI 3.1; made once for the routes there are."""
        made = super().openapi()
        if any(name in made["components"]["schemas"] for name in _FRAMEWORKS_OWN):
            for path, methods in made["paths"].items():
                for method in _METHODS & methods.keys():
                    _refusals(path, method, methods[method])
            for told in made.get("webhooks", {}).values():  # these are shapes alone: nobody answers them
                for operation in told.values():
                    operation["responses"].pop("422", None)
            for name in _FRAMEWORKS_OWN:
                made["components"]["schemas"].pop(name, None)
        return made


def _refusals(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add to an operation the refusals that all of its kind have, and give every refusal its one shape."""
    statuses = {int(status) for status in operation["responses"] if status.isdecimal() and int(status) >= 400}
    ways = {name for way in operation.get("security", ()) for name in way}
    if ways:
        statuses |= {401}
    if BROWSER.scheme_name in ways and method != _SAFE:
        statuses |= {403}  # not from our own page (`api.dependencies.access.session_token`)
    if "requestBody" in operation:
        statuses |= {400, 413, 422}
    if operation.get("parameters"):
        statuses |= {422}
    if path not in _WITHOUT_INDEX:
        statuses |= {503}
    for status in sorted(statuses):
        told = operation["responses"].get(str(status), {})
        operation["responses"][str(status)] = told | {"description": _words(status), "content": _REFUSAL}


def _words(status: int) -> str:
    return HTTPStatus(status).phrase
