"""How many exports run at once, and where their unfinished files are: beside the objects, since /tmp may be memory."""

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Final

from api.http.problems import Problem
from fonoteka.core.errors import ConfigurationError

_EACH: Final = 2
_WORKBOOKS_AT_ONCE: Final = 2
_ORPHANED_AFTER_S: Final = 24 * 3600


class ExportRoom:
    """One for the application. Whoever has two exports going on is refused a third; workbooks, which cost most, wait in line."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._inside: Counter[int] = Counter()
        self._desks = asyncio.Semaphore(_WORKBOOKS_AT_ONCE)

    def prepare(self) -> None:
        """Make the folder, and sweep what a crash has left there: old things only, another replica may be at work. Raises
        ConfigurationError."""
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self._root.iterdir():
                if time.time() - left.stat().st_mtime > _ORPHANED_AFTER_S:
                    shutil.rmtree(left, ignore_errors=True)
        except OSError as error:
            raise ConfigurationError(f"the folder for exports {str(self._root)!r} cannot be written: {error.strerror}") from error

    @contextmanager
    def entered(self, user_id: int) -> Iterator[None]:
        """Hold one of a user's places. Raises Problem 429."""
        if self._inside[user_id] >= _EACH:
            detail = "two exports of yours are going on already; ask again when one of them has come"
            raise Problem(429, "too-many-exports", detail, headers={"Retry-After": "10"})
        self._inside[user_id] += 1
        try:
            yield
        finally:
            self._inside[user_id] -= 1
            if not self._inside[user_id]:
                del self._inside[user_id]

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[Path]:
        """A private folder to make a workbook in, deleted with all that is in it when the block ends. Waits for its turn."""
        async with self._desks:
            folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._root))
            try:
                yield folder
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def nameless_file(self) -> IO[bytes]:
        """A file that nobody else can open, and that is gone when it is closed, or when we die (open(2), O_TMPFILE)."""
        return tempfile.TemporaryFile(dir=self._root)
