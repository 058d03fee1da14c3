"""A streamed form is the form that httpx writes, and the event loop never waits for its file."""

import asyncio
import os
from pathlib import Path

import httpx
import pytest

from agent.shipping.api_client import ApiClient
from agent.shipping.upload import OpenedFile, stream_last_part
from fonoteka.core.errors import ShipError
from fonoteka.core.manifest import MANIFEST_FILE, MIXED_FILE, AudioFormat, Layout, Mixed
from fonoteka.core.plain_file import open_plain

BOUNDARY = {"Content-Type": "multipart/form-data; boundary=abc"}
DOCUMENTS = {"manifest": '{"name": "Пётр"}', "peaks": "[1,\r\n--abc\r\n2]"}


def _form(audio: bytes) -> httpx.Request:
    files = {"audio": ("audio.opus", audio, "application/octet-stream")}
    return httpx.Request("PUT", "http://api/", headers=BOUNDARY, data=DOCUMENTS, files=files)


async def _body(request: httpx.Request) -> bytes:
    assert isinstance(request.stream, httpx.AsyncByteStream)
    return b"".join([block async for block in request.stream])


async def test_a_streamed_form_is_the_form_that_httpx_writes(tmp_path: Path) -> None:
    for audio in (b"", b"OggS", b"\r\n--abc--\r\n" + bytes(1_000_000)):
        (tmp_path / "audio").write_bytes(audio)
        request = _form(b"")
        with open_plain(tmp_path / "audio") as file:
            stream_last_part(request, OpenedFile.of(file))
            body = await _body(request)
        assert body == _form(audio).read()
        assert request.headers["Content-Length"] == str(len(body))


async def test_the_loop_does_not_wait_for_the_file() -> None:
    """The file is a pipe, into which the test writes only after the upload has begun.

    Its beginning is still to be read, as the second block of a longer file is.
    """
    source, sink = os.pipe()
    request = _form(b"")
    with os.fdopen(source, "rb") as file:
        stream_last_part(request, OpenedFile(file, 4, b""))
        reading = asyncio.create_task(_body(request))
        await asyncio.sleep(0)  # the task runs until it reads the file
        os.write(sink, b"OggS")
        os.close(sink)
        assert await reading == _form(b"OggS").read()


async def test_a_broken_connection_is_a_ship_error_and_closes_the_file(tmp_path: Path) -> None:
    async def disconnect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1000)
        writer.transport.abort()

    audio = bytes(20_000_000)  # more than the sockets buffer
    mixed = Mixed(
        audio_file="audio.opus",
        peaks_file="peaks.json",
        format=AudioFormat.OPUS,
        layout=Layout.STEREO,
        rate_hz=8000,
        duration_ms=1000,
        size_bytes=len(audio),
        sha256="",
        salvaged=False,
    )
    (tmp_path / mixed.audio_file).write_bytes(audio)
    for name in (MANIFEST_FILE, MIXED_FILE, mixed.peaks_file):
        (tmp_path / name).write_text("{}")
    server = await asyncio.start_server(disconnect, "127.0.0.1")
    host, port = server.sockets[0].getsockname()
    api = ApiClient(f"http://{host}:{port}", "token")
    with pytest.raises(ShipError, match=f"agent.api = http://{host}:{port}: "):
        await api.put_recording(tmp_path, mixed)
    await api.close()
    server.close()
    while any(link.resolve() == tmp_path / mixed.audio_file for link in Path("/proc/self/fd").iterdir()):
        await asyncio.sleep(0.01)
