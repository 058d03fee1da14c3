"""Deletion in a process of its own, so that no request waits for its Python code.

Only the transactions are shared with the process that serves requests, and they are short. The
process ends after the first batch that it cannot report: a kill of either side leaves what
`store.retention.expiry` describes.
"""

import asyncio
import gc
import multiprocessing
import os
import signal
from collections.abc import Collection
from datetime import datetime
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Final

from fonoteka.core import logging_setup
from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from store.database.store import Store
from store.retention.run import Amount, Deleted, Notify, Rule, delete_due

_SPAWN: Final = multiprocessing.get_context("spawn")
_NICE: Final = 10  # requests come first


async def delete_due_apart(section: StoreSection, now: datetime, *, domain_ids: Collection[int], notify: Notify) -> Deleted:
    """Do `delete_due` in another process. Raises StoreError and ConfigurationError."""
    receiving, sending = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_work, args=(section, now, domain_ids, sending), name="fonoteka-retention", daemon=True)
    await asyncio.to_thread(process.start)
    sending.close()
    try:
        while True:
            message: Any = await asyncio.to_thread(receiving.recv)
            match message:
                case dict():
                    return message
                case Exception():
                    raise message
                case rule, amount, lock_s:
                    notify(rule, amount, lock_s)
    except EOFError as error:
        raise StoreError("the process that deletes what has expired was killed") from error
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)


def _work(section: StoreSection, now: datetime, domain_ids: Collection[int], sending: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C signals the process group; the API decides
    os.nice(_NICE)
    logging_setup.configure("api")
    try:
        sending.send(asyncio.run(_deleted(section, now, domain_ids, sending)))
    except (StoreError, ConfigurationError) as error:
        sending.send(error)
    except BrokenPipeError:
        return  # the API is gone; the next one goes on


async def _deleted(section: StoreSection, now: datetime, domain_ids: Collection[int], sending: Connection) -> Deleted:
    store = await Store.open(section, blocking=True)
    gc.freeze()  # a full collection took 90 ms, mostly while the lock was held
    try:
        return await delete_due(store, now, domain_ids=domain_ids, notify=partial(_send, sending))
    finally:
        await store.close()


def _send(sending: Connection, rule: Rule, amount: Amount, lock_s: float) -> None:
    sending.send((rule, amount, lock_s))
