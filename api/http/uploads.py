"""Receive the form of a recording in a folder beside the objects, within limits."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Final

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from api import readiness
from api.http.body_limit import max_bytes
from api.http.problems import Problem
from api.limits.concurrency_limit import ConcurrencyLimit
from fonoteka.core.errors import ConfigurationError, ObjectsFull, StoreError

_UPLOADS_OF_A_PBX: Final = 4  # an agent ships two at a time; a lost connection stays for a moment
_UPLOADS: Final = 32
_UPLOAD_BYTES: Final = 4 * 1024**3  # of all uploads together, as announced


class UploadWorkspace:
    """The files of recordings that are being received.

    They are beside the objects, since /tmp may be in memory. They have no names: a crash leaves
    nothing behind.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._of_pbx = ConcurrencyLimit[int](_UPLOADS_OF_A_PBX)
        self._uploads = 0
        self._bytes = 0

    def prepare(self) -> None:
        """Make the folder. Raises ConfigurationError."""
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"the folder for uploads {str(self._root)!r} cannot be written: {error.strerror}") from error

    @asynccontextmanager
    async def receive(self, request: Request, pbx_id: int, *, max_fields: int) -> AsyncIterator[FormData]:
        """Receive a form with one file, and keep the file while the block runs.

        Raises Problem 503 or ObjectsFull, before a byte is read, if there is no room now; an agent
        then keeps the recording and sends it again.
        """
        length = int(request.headers.get("content-length", max_bytes(request.url.path)))
        async with self._of_pbx.try_enter(pbx_id) as entered:
            if not entered:
                raise _too_many(f"{_UPLOADS_OF_A_PBX} recordings of this PBX are being received")
            with self._reserved(length):
                await asyncio.to_thread(self._check_space)
                form = await self._form(request, max_fields)
                try:
                    yield form
                finally:
                    await form.close()

    @contextmanager
    def _reserved(self, length: int) -> Iterator[None]:
        if self._uploads >= _UPLOADS or self._bytes + length > _UPLOAD_BYTES:
            raise _too_many(f"{self._uploads} recordings of {self._bytes // 1024**2} MiB are being received")
        self._uploads += 1
        self._bytes += length
        try:
            yield
        finally:
            self._uploads -= 1
            self._bytes -= length

    def _check_space(self) -> None:
        """Check that all announced bytes fit on the disk twice: as an upload and as an object.

        The space that `/readyz` wants stays free, for the index: calls are stored without audio.
        """
        with _disk_errors(self._root):
            if shutil.disk_usage(self._root).free < 2 * self._bytes + readiness.LEAST_FREE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def _form(self, request: Request, max_fields: int) -> FormData:
        if parse_options_header(request.headers.get("content-type", ""))[0] != b"multipart/form-data":
            return FormData()
        try:
            with _disk_errors(self._root):
                async with aclosing(request.stream()) as stream:
                    return await _Parser(request.headers, stream, self._root, max_fields).parse()
        except MultiPartException as error:
            raise HTTPException(400, error.message) from error
        except ClientDisconnect as error:
            raise Problem(408, "client-gone") from error  # never received


class _Parser(MultiPartParser):
    """A parser whose file is in a folder of ours, not in that of `tempfile`."""

    def __init__(self, headers: object, stream: object, folder: Path, max_fields: int) -> None:
        super().__init__(headers, stream, max_files=1, max_fields=max_fields)  # type: ignore[arg-type]
        self._folder = folder

    def on_headers_finished(self) -> None:
        """Replace the new, still empty file of the part."""
        super().on_headers_finished()
        if (upload := self._current_part.file) is not None:
            upload.file.close()
            file = SpooledTemporaryFile(max_size=self.spool_max_size, dir=str(self._folder))  # noqa: SIM115 (closed with the form)
            upload.file = self._files_to_close_on_error[-1] = file  # type: ignore[assignment]


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ObjectsFull(f"the disk of {str(folder)!r} is full: free space there") from error
        raise StoreError(f"the folder for uploads {str(folder)!r} cannot be written: {error}") from error


def _too_many(detail: str) -> Problem:
    return Problem(503, "too-many-uploads", f"{detail}; send this one again later", headers={"Retry-After": "5"})
