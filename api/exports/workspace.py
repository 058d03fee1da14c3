"""The folder of unfinished exports, beside the objects since /tmp may be in memory, and limits."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final

from api.http.problems import Problem
from api.limits.concurrency_limit import ConcurrencyLimit
from fonoteka.core.errors import ConfigurationError

_EXPORTS_OF_AN_ACCOUNT: Final = 2
_WORKBOOKS: Final = 2
_ORPHANED_AFTER_S: Final = 24 * 3600


class ExportWorkspace:
    """Limits exports by account. Workbooks, the costliest exports, wait for each other."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._exports = ConcurrencyLimit[int](_EXPORTS_OF_AN_ACCOUNT)
        self._workbooks = ConcurrencyLimit[None](_WORKBOOKS)

    def prepare(self) -> None:
        """Make the folder and delete files that a crash left. Raises ConfigurationError.

        Only old files are deleted, as another replica may use the folder.
        """
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in self._root.iterdir():
                if time.time() - path.stat().st_mtime > _ORPHANED_AFTER_S:
                    shutil.rmtree(path, ignore_errors=True)
        except OSError as error:
            raise ConfigurationError(f"the folder for exports {str(self._root)!r} cannot be written: {error.strerror}") from error

    @asynccontextmanager
    async def export_of(self, user_id: int) -> AsyncIterator[None]:
        """Count an export of a user while the block runs. Raises Problem 429."""
        async with self._exports.try_enter(user_id) as entered:
            if not entered:
                detail = "two exports of yours are going on already; ask again when one of them has come"
                raise Problem(429, "too-many-exports", detail, headers={"Retry-After": "10"})
            yield

    @asynccontextmanager
    async def workbook_folder(self) -> AsyncIterator[Path]:
        """Wait for a slot; yield a private folder, deleted with its files when the block ends."""
        async with self._workbooks.enter(None):
            folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._root))
            try:
                yield folder
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def nameless_file(self) -> IO[bytes]:
        """Open a file without a name, deleted when it is closed or we die (open(2), O_TMPFILE)."""
        return tempfile.TemporaryFile(dir=self._root)
