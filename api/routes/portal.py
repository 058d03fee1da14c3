"""Everything that is not the API: the portal, as Vite built it into `api/static`, compressed where the browser takes it so."""

from mimetypes import guess_type
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.convertors import StringConvertor, register_url_convertor

from api.http.problems import not_found

STATIC: Final = Path(__file__).parents[1] / "static"
_OURS: Final = ("api", "agent", "assets")  # below these nothing is a page
_PAGE: Final = "index.html"
_NOT_BUILT: Final = (
    "The portal is not built. Run `npm ci && npm run build` in portal/, install the package, or restart the API if it was "
    "built since. The API is at /api.\n"
)


class _Page(StringConvertor):
    """Any path but those below `_OURS`: these are looked for no further, so a wrong method there is told as one (405)."""

    regex = rf"(?!(?:{'|'.join(_OURS)})(?:/|$)).*"


register_url_convertor("page", _Page())


def portal_in(static: Path) -> APIRouter:
    """The routes of the portal whose files lie in `static` now.

    They are listed once, and an address is only ever looked up in that list: no path is made of what a stranger typed.
    """
    listed = {file.relative_to(static).as_posix(): file for file in static.rglob("*") if file.is_file()}
    compressed = {name.removesuffix(".gz"): file for name, file in listed.items() if name.endswith(".gz")}
    files = {name: file for name, file in listed.items() if not name.endswith(".gz")}
    router = APIRouter(include_in_schema=False)

    def sent(name: str, request: Request, kept: str) -> FileResponse:
        headers, file = {"Cache-Control": kept}, files[name]
        if name in compressed:
            headers["Vary"] = "Accept-Encoding"
            if _takes_gzip(request.headers.get("accept-encoding", "")):
                headers["Content-Encoding"], file = "gzip", compressed[name]
        return FileResponse(file, headers=headers, media_type=guess_type(name)[0])

    @router.head("/assets/{name:path}")
    @router.get("/assets/{name:path}")
    async def asset(name: str, request: Request) -> Response:
        """A file into whose name Vite wrote a hash of its content."""
        if f"assets/{name}" not in files:
            raise not_found()
        return sent(f"assets/{name}", request, "public, max-age=31536000, immutable")

    @router.head("/{path:page}")
    @router.get("/{path:page}")
    async def portal(path: str, request: Request) -> Response:
        """A file of the portal, or for any other address its page: the state is in the address."""
        if path in files:
            return sent(path, request, "no-cache")
        if _PAGE not in files:
            return PlainTextResponse(_NOT_BUILT, status_code=503 if path else 200)
        return sent(_PAGE, request, "no-cache")

    return router


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding (RFC 9110, 12.5.3) names gzip or anything, and does not refuse it."""
    for one in accepted.lower().split(","):
        coding, _, weight = one.replace(" ", "").partition(";q=")
        if coding in {"gzip", "*"}:
            return weight.strip("0.") != "" or not weight
    return False
