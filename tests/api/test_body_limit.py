"""Request bodies that are too large are not read."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from api.http.body_limit import max_bytes
from fonoteka.core.config import split_address
from tests.api.conftest import Site
from tests.data import seed

MIB = 1024**2


def test_bodies_of_agents_may_be_larger() -> None:
    paths = ("/api/login", "/agent/v1/calls", "/agent/v1/recordings/x", "/agent/v1/settings", "/agent/v1/calls/", "/")
    assert [max_bytes(path) for path in paths] == [64 * 1024, 4 * MIB, 1024 * MIB, 64 * 1024, 64 * 1024, 64 * 1024]


TOO_MUCH = [
    ("POST", "/api/login", 64 * 1024 + 1, None),
    ("PATCH", "/api/users/152", 64 * 1024 + 1, None),
    ("PUT", "/agent/v1/calls", 4 * MIB + 1, seed.PBX_TOKEN),
]


@pytest.mark.parametrize(("method", "path", "size", "token"), TOO_MUCH)
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
async def test_a_body_that_is_too_large_is_answered_with_413(
    site: Site, method: str, path: str, size: int, token: str | None, announced: bool
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 4096):
            yield b" " * min(4096, size - start)

    headers = {"Content-Type": "application/json"}
    async with site.client(token) as client:
        if method == "PATCH":
            client.headers.update((await site.log_in("900")).headers)
        answer = await client.request(method, path, content=b" " * size if announced else chunks(), headers=headers)
    assert (answer.status_code, answer.json()["type"], answer.headers["content-type"]) == (
        413,
        "/problems/too-large",
        "application/problem+json",
    )


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /api/login HTTP/1.1\r\nContent-Length: 70000", 413),
        ("PUT /agent/v1/recordings/x HTTP/1.1\r\nContent-Length: 1073741825\r\nAuthorization: Bearer {token}", 413),
        ("PUT /agent/v1/recordings/x HTTP/1.1\r\nContent-Length: 1000000000", 401),
        ("PUT /agent/v1/recordings/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer wrong", 401),
        ("PUT /agent/v1/calls HTTP/1.1\r\nContent-Length: 4000000", 401),
    ],
)
async def test_the_answer_comes_before_a_byte_of_the_body(site: Site, head: str, status: int) -> None:
    reader, writer = await asyncio.open_connection(*split_address(site.address.removeprefix("http://")))
    content_type = "multipart/form-data; boundary=x" if "recordings" in head else "application/json"
    request = f"{head.format(token=seed.PBX_TOKEN)}\r\nHost: x\r\nContent-Type: {content_type}\r\n\r\n"
    try:
        writer.write(request.encode())
        answered = await asyncio.wait_for(reader.readline(), 60)
    finally:
        writer.close()
    assert answered.split()[1] == str(status).encode()


@pytest.mark.parametrize(("token", "status"), [(None, 401), (seed.PBX_TOKEN, 422)])
async def test_a_client_that_sends_all_of_the_body_gets_the_answer(site: Site, token: str | None, status: int) -> None:
    async with site.client(token) as client:
        for _ in range(2):
            answer = await client.put("/agent/v1/recordings/x", files={"audio": ("a.wav", b"x" * 8 * MIB)})
            assert answer.status_code == status


PAPERS = {"manifest": "{}", "mixed": "{}", "peaks": "{}"}


@pytest.mark.parametrize(
    ("files", "detail"),
    [
        ([*PAPERS.items(), ("audio", ("a.ogg", b"x")), ("more", ("b.ogg", b"x"))], "Too many files"),
        ([*PAPERS.items(), ("more", "x"), ("audio", ("a.ogg", b"x"))], "Too many fields"),
        ([*PAPERS.items(), ("audio", "no file")], "Too many fields"),
        ([("manifest", "{}"), ("audio", ("a.ogg", b"x"))], "Field required"),
        ([("manifest", ("m.json", b"{}"))], "is missing"),
    ],
)
async def test_a_form_is_what_an_agent_sends_or_a_problem(
    agent: httpx.AsyncClient, files: list[tuple[str, str | tuple[str, bytes]]], detail: str
) -> None:
    parts = [(name, (None, value) if isinstance(value, str) else value) for name, value in files]
    answer = await agent.put("/agent/v1/recordings/x", files=parts)
    assert answer.status_code in (400, 422)
    assert detail in answer.json()["detail"]
