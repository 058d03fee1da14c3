"""Send the data of an outside party as a ZIP archive while it is made.

The archive has `audio/`, the recordings as they are stored; `calls.json`, the calls as the API
returns them, with their paths and the names of their audio files; and `journal.json`, the audit
entries about these calls. A recording that is missing or damaged does not break the archive:
`calls.json` has the reason.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from zipstream import ZipStream

from api.exports.archive import file_blocks, pulled, size_of
from api.presenters.audit import entry
from api.presenters.call import call_with_path
from fonoteka.core.errors import ObjectDamaged, StoreError
from store.audit.read import entries_about
from store.database.store import Store
from store.integrity.intact import opened_intact
from store.queries.audio import StoredAudio, audio_of
from store.queries.calls import call_of, path_of
from store.selection.scope import Scope
from store.subjects.calls import SubjectCalls

_SUBJECTS_AT_A_TIME: Final = 500  # SQLite takes some thousands of parameters

log = structlog.get_logger()


@dataclass(kw_only=True, slots=True, eq=False)
class SubjectPackage:
    """The archive of the calls that were found. Calls in progress have no recording yet."""

    store: Store
    domain: str
    domain_id: int
    zone: ZoneInfo
    found: SubjectCalls
    now: datetime
    _zip: ZipStream = field(default_factory=lambda: ZipStream(sized=False))

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the archive's bytes. Raises StoreError if the index fails, and ends incomplete."""
        scope, calls = Scope(domain_id=self.domain_id, login=None), []
        for found in self.found.calls:
            seen = await call_of(self.store, scope, found.public_id, self.now)
            if seen is None:
                continue  # erased meanwhile
            document = call_with_path(seen, await path_of(self.store, scope, found.public_id), self.zone).model_dump(mode="json")
            audio = document["audio"] = []
            for place, part in enumerate(await audio_of(self.store, scope, found.public_id), 1):
                name = f"audio/{found.public_id}-{place}.{part.format}"
                audio.append(listed := {"file": name, "duration_ms": part.duration_ms, "sha256": part.sha256})
                async for piece in self._audio(part, listed):
                    yield piece
            calls.append(document)
        about = {"domain": self.domain, "number": self.found.number, "exported_at": self.now.astimezone(self.zone).isoformat()}
        self._zip.add(_json(about | {"calls": calls}), "calls.json")
        self._zip.add(_json(about | {"entries": await self._entries()}), "journal.json")
        async for piece in pulled(self._zip.finalize()):
            yield piece

    async def _audio(self, part: StoredAudio, listed: dict[str, Any]) -> AsyncIterator[bytes]:
        """Yield a recording as a file of the archive; if it is not as stored, list why."""
        try:
            file = await opened_intact(self.store.objects, part)
        except StoreError as error:
            log.error("recording.not_exported", object=part.object_key, reason=str(error))
            is_damaged = isinstance(error, ObjectDamaged)
            listed["missing"] = "the file is not the one that was stored" if is_damaged else "the file cannot be read"
            return
        with file:
            self._zip.add(file_blocks(file), listed["file"], size=size_of(file))
            async for piece in pulled(self._zip.all_files()):
                yield piece

    async def _entries(self) -> Sequence[dict[str, Any]]:
        ids = [call.public_id for call in self.found.calls]
        entries: list[dict[str, Any]] = []
        for start in range(0, len(ids), _SUBJECTS_AT_A_TIME):
            some = await entries_about(self.store, self.domain_id, ids[start : start + _SUBJECTS_AT_A_TIME])
            entries += [entry(seen, self.zone).model_dump(mode="json") for seen in some]
        return sorted(entries, key=lambda listed: datetime.fromisoformat(listed["at"]))


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode()
