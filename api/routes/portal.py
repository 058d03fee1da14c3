"""Serve the portal, which Vite builds into `api/static`, compressed if the browser accepts it."""

from mimetypes import guess_type
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.convertors import StringConvertor, register_url_convertor

from api.http.problems import not_found

STATIC: Final = Path(__file__).parents[1] / "static"
_NO_PAGES: Final = ("api", "agent", "assets")
_PAGE: Final = "index.html"
_NOT_BUILT: Final = (
    "The portal is not built. Run `npm ci && npm run build` in portal/, install the package, or restart the API if it was "
    "built since. The API is at /api.\n"
)


class _Page(StringConvertor):
    """Any path except below `_NO_PAGES`, so that a wrong method there is answered with 405."""

    regex = rf"(?!(?:{'|'.join(_NO_PAGES)})(?:/|$)).*"


register_url_convertor("page", _Page())


def portal_in(static: Path) -> APIRouter:
    """Return the routes of the portal whose files are in `static` now.

    The files are listed once and requests are looked up in that list: no path on the disk is made
    from the address of a request.
    """
    all_files = {file.relative_to(static).as_posix(): file for file in static.rglob("*") if file.is_file()}
    compressed = {name.removesuffix(".gz"): file for name, file in all_files.items() if name.endswith(".gz")}
    files = {name: file for name, file in all_files.items() if not name.endswith(".gz")}
    router = APIRouter(include_in_schema=False)

    def send(name: str, request: Request, cache_control: str) -> FileResponse:
        headers, file = {"Cache-Control": cache_control}, files[name]
        if name in compressed:
            headers["Vary"] = "Accept-Encoding"
            if _accepts_gzip(request.headers.get("accept-encoding", "")):
                headers["Content-Encoding"], file = "gzip", compressed[name]
        return FileResponse(file, headers=headers, media_type=guess_type(name)[0])

    @router.head("/assets/{name:path}")
    @router.get("/assets/{name:path}")
    async def asset(name: str, request: Request) -> Response:
        """Send a file whose name has a hash of its content."""
        if f"assets/{name}" not in files:
            raise not_found()
        return send(f"assets/{name}", request, "public, max-age=31536000, immutable")

    @router.head("/{path:page}")
    @router.get("/{path:page}")
    async def portal(path: str, request: Request) -> Response:
        """Send a file of the portal, for any other address its page, which reads the address."""
        if path in files:
            return send(path, request, "no-cache")
        if _PAGE not in files:
            return PlainTextResponse(_NOT_BUILT, status_code=503 if path else 200)
        return send(_PAGE, request, "no-cache")

    return router


def _accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header accepts gzip (RFC 9110, 12.5.3)."""
    for item in accept_encoding.lower().split(","):
        coding, _, weight = item.replace(" ", "").partition(";q=")
        if coding in {"gzip", "*"}:
            return weight.strip("0.") != "" or not weight
    return False
