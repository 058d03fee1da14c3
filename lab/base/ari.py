"""A program that steers calls by ARI, as programs of the field do (Stasis)."""

import json
from types import TracebackType
from typing import Any, Final, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect

from lab.base.errors import LabError

Event = dict[str, Any]
_USER: Final = "lab"  # of lab/asterisk/etc/ari.conf


class AriProgram:
    """One connected program, by the name that the dialplan gives to Stasis."""

    def __init__(self, address: tuple[str, int], secret: str, name: str) -> None:
        self.name = name
        self._host, self._auth = f"{address[0]}:{address[1]}", httpx.BasicAuth(_USER, secret)
        self._events_url = f"ws://{self._host}/ari/events?app={name}&api_key={_USER}:{secret}"

    async def __aenter__(self) -> Self:
        self._events: ClientConnection = await connect(self._events_url)
        self._http = httpx.AsyncClient(base_url=f"http://{self._host}/ari", auth=self._auth)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.aclose()
        await self._events.close()

    async def begun(self) -> str:
        """The id of the next channel that comes to this program."""
        async for text in self._events:
            event: Event = json.loads(text)
            if event["type"] == "StasisStart":
                return str(event["channel"]["id"])
        raise LabError("Asterisk has closed the connection of an ARI program")

    async def post(self, path: str, **parameters: str) -> Event:
        """Ask for something; returns what was made, if anything. Raises LabError."""
        answer = await self._http.post(path, params=parameters)
        if answer.is_error:
            raise LabError(f"ARI {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else {}

    async def delete(self, path: str) -> None:
        """Take something away; it may be gone already."""
        await self._http.delete(path)
