"""Describe in OpenAPI what all routes share: authentication and the answers to failed requests."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI

from api.dependencies.access import BROWSER
from api.http.problems import MEDIA_TYPE

_METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})
_SAFE: Final = "get"
_PROBLEM: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_SCHEMAS_OF_FASTAPI: Final = ("HTTPValidationError", "ValidationError")  # never sent: see `api.http.problems`
_WITHOUT_INDEX: Final = ("/healthz", "/metrics")


class DescribedApi(FastAPI):
    """An application whose OpenAPI document describes errors as problem documents."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI 3.1 document; FastAPI caches it."""
        document = super().openapi()
        schemas = document["components"]["schemas"]
        if any(name in schemas for name in _SCHEMAS_OF_FASTAPI):
            for path, methods in document["paths"].items():
                for method in _METHODS & methods.keys():
                    _describe_problems(path, method, methods[method])
            for webhook in document.get("webhooks", {}).values():  # these are schemas only: no answer
                for operation in webhook.values():
                    operation["responses"].pop("422", None)
            for name in _SCHEMAS_OF_FASTAPI:
                schemas.pop(name, None)
        return document


def _describe_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add the error statuses that operations of this kind have, each with a problem document."""
    statuses = {int(status) for status in operation["responses"] if status.isdecimal() and int(status) >= 400}
    schemes = {name for scheme in operation.get("security", ()) for name in scheme}
    if schemes:
        statuses |= {401}
    if BROWSER.scheme_name in schemes and method != _SAFE:
        statuses |= {403}  # cross-site (`api.dependencies.access.session_token`)
    if "requestBody" in operation:
        statuses |= {400, 413, 422}
    if operation.get("parameters"):
        statuses |= {422}
    if path not in _WITHOUT_INDEX:
        statuses |= {503}
    for status in sorted(statuses):
        response = operation["responses"].get(str(status), {})
        operation["responses"][str(status)] = response | {"description": HTTPStatus(status).phrase, "content": _PROBLEM}
