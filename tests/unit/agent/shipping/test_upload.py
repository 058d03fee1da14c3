"""A streamed form is the form that httpx writes, and the event loop never waits for its file."""

import asyncio
import os
from pathlib import Path

import httpx

from agent.shipping.upload import stream_last_part

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
        stream_last_part(request, tmp_path / "audio", len(audio))
        body = await _body(request)
        assert body == _form(audio).read()
        assert request.headers["Content-Length"] == str(len(body))


async def test_the_loop_does_not_wait_for_the_file(tmp_path: Path) -> None:
    """The file is a FIFO, which the test opens for writing only after the upload has begun."""
    os.mkfifo(tmp_path / "audio")
    request = _form(b"")
    stream_last_part(request, tmp_path / "audio", 4)
    reading = asyncio.create_task(_body(request))
    await asyncio.sleep(0)  # the task runs until it opens the file
    await asyncio.to_thread((tmp_path / "audio").write_bytes, b"OggS")
    assert await reading == _form(b"OggS").read()
