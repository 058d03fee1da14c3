"""Statements are compiled once for all tests of a process, as in a service that runs for long.

Each test opens a store of its own, and each store would compile its statements again: a tenth of
the time of the tests.
"""

from collections.abc import Iterator, MutableMapping
from functools import partial
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from store.database import dialect

_MOST = 10_000


class _OfAllEngines(MutableMapping[Any, Any]):
    """Compiled statements; the first part of a key is a dialect, here taken by its name."""

    def __init__(self) -> None:
        self._compiled: dict[Any, Any] = {}

    def __getitem__(self, key: Any) -> Any:
        return self._compiled[key[0].name, key[1:]]

    def __setitem__(self, key: Any, compiled: Any) -> None:
        if len(self._compiled) >= _MOST:
            self._compiled.clear()
        self._compiled[key[0].name, key[1:]] = compiled

    def __delitem__(self, key: Any) -> None:
        del self._compiled[key[0].name, key[1:]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._compiled)

    def __len__(self) -> int:
        return len(self._compiled)


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    options = {"compiled_cache": _OfAllEngines()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialect, "create_async_engine", partial(create_async_engine, execution_options=options))
        yield
