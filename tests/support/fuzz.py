"""Fuzz one reader with atheris: `python -m tests.support.fuzz TARGET [options of libFuzzer]`.

atheris is not among the dependencies: `pip install atheris`. Corpora are the recorded streams of
`tests/data` and what the property tests begin with. An exception that is none of a reader's own
errors is a crash, and libFuzzer writes the input to a file.
"""

import importlib
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

_DATA: Final = Path(__file__).parents[1] / "data"
atheris: Any = importlib.import_module("atheris")

with atheris.instrument_imports(include=["agent", "fonoteka", "mixer"]):
    from agent.ami.event_repair import EventRepair, headers_of
    from agent.ami.framing import Framing
    from agent.calls.event_reader import LAYOUTS, read_event
    from agent.cel.journal import CelJournal
    from agent.reporting.journal import Journal
    from fonoteka.core.errors import AmiError, AudioError, SpoolError
    from fonoteka.core.manifest import read_failure, read_manifest, read_mixed, write_manifest, write_mixed
    from mixer.wav_header import HEAD_BYTES, read_header

_folder: Final = Path(tempfile.mkdtemp(prefix="fonoteka-fuzz-"))
_EVER: Final = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def ami(data: bytes) -> None:
    """Frame a stream in two pieces, repair and parse each message, and read it as an event."""
    framing, repair, cut = Framing(), EventRepair(LAYOUTS, lambda raw: False), len(data) // 2
    with suppress(AmiError):
        for part in (b"Asterisk Call Manager/11.0.0\r\n", data[:cut], data[cut:]):
            for message in repair.feed(framing.feed(part)):
                headers = headers_of(message)
                read_event(headers.get("Event", ""), headers, _EVER[0])


def cel(data: bytes) -> None:
    """Read a CEL journal of any bytes."""
    path = _folder / "cel.csv"
    path.write_bytes(data)
    for row in CelJournal(path=path).rows(*_EVER):
        assert row is not None


def wav(data: bytes) -> None:
    """Read a leg of any bytes: its audio lies within the file."""
    with suppress(AudioError):
        shape = read_header(data[:HEAD_BYTES], len(data))
        assert 0 <= shape.offset_bytes + 2 * shape.samples <= max(len(data), shape.offset_bytes)


def manifest(data: bytes) -> None:
    """Read the three files of an item."""
    for name, read in (("manifest.json", read_manifest), ("mixed.json", read_mixed), ("failure.json", read_failure)):
        (_folder / name).write_bytes(data)
        with suppress(SpoolError):
            read(_folder)


def journal(data: bytes) -> None:
    """Read a file of the journal: a call, or set aside."""
    calls = _folder / "calls"
    calls.mkdir(exist_ok=True)
    (calls / "call.json").write_bytes(data)
    list(Journal(calls).read())


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {each.__name__: each for each in (ami, cel, wav, manifest, journal)}


def _seeds(target: str) -> list[bytes]:
    """Return the inputs that the fuzzer begins with."""
    match target:
        case "ami" | "cel":
            suffix = "txt" if target == "ami" else "csv"
            return [path.read_bytes()[:20_000] for path in sorted((_DATA / "streams").glob(f"*.{suffix}"))]
        case "journal":
            return [path.read_bytes() for path in sorted((_DATA / "journal").rglob("*.json"))]
        case "wav":
            from tests.support.legs import header

            return [header(size, rate_hz) + bytes(2000) for size in (0, 2000, 0xFFFFFFFF) for rate_hz in (8000, 16000)]
        case _:
            from tests.unit.fonoteka.test_manifest import MANIFEST, MIXED

            write_manifest(_folder, MANIFEST)
            write_mixed(_folder, MIXED)
            return [(_folder / name).read_bytes() for name in ("manifest.json", "mixed.json")]


def main() -> None:
    """Write the first inputs into a new folder, and fuzz until libFuzzer ends."""
    target = sys.argv.pop(1)
    corpus = _folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(_seeds(target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    structlog.configure(processors=[_drop])
    atheris.Setup([*sys.argv, f"-artifact_prefix={_folder}/", str(corpus)], TARGETS[target])
    atheris.Fuzz()


def _drop(*_: object) -> dict[str, object]:
    raise structlog.DropEvent


if __name__ == "__main__":
    main()
