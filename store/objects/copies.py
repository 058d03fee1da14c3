"""Copies of recordings: joined and converted audio, which the API caches beside the objects.

The name of a copy begins with the public id of its call, so that it is deleted with the audio.
"""

import os
from collections.abc import Set
from contextlib import suppress
from pathlib import Path

from store.objects.object_store import ObjectStore


def copies_folder(objects: ObjectStore) -> Path:
    """Return the folder of the copies."""
    return objects.workspace.with_name(objects.workspace.name + "-cache")


def copy_name(call: str, key: str, extension: str) -> str:
    """Return the name of a copy. `key` identifies its bytes, `call` is the call's public id."""
    return f"{call}-{key}.{extension}"


def delete_copies(objects: ObjectStore, calls: Set[str]) -> None:
    """Delete the copies of calls, by public id."""
    with suppress(FileNotFoundError):
        for entry in os.scandir(copies_folder(objects)):
            if entry.name.partition("-")[0] in calls:
                Path(entry.path).unlink(missing_ok=True)
