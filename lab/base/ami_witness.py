"""A bare ear on the manager interface, for tests and traces.

Reads every message as it comes, sends an action by hand.

It is not Fonoteka's AMI client and shares nothing with it, so that the one can be judged by the
other.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from lab.base.errors import LabError
from lab.base.eventually import LIMIT_S

Message = Mapping[str, str]


class AmiWitness:
    """One logged-in connection.

    `messages` grows as events and responses come; `texts` are the same as received.
    """

    def __init__(self, address: tuple[str, int], user: str, secret: str) -> None:
        self._address, self._user, self._secret = address, user, secret
        self._numbers = itertools.count(1)
        self._news = asyncio.Condition()
        self.messages: list[Message] = []
        self.texts: list[str] = []

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(*self._address, limit=1 << 22)
        await self._reader.readline()  # the greeting
        self._listening = asyncio.create_task(self._listen())
        answer = await self.action(Action="Login", Username=self._user, Secret=self._secret)
        if answer["Response"] != "Success":
            await self.__aexit__(None, None, None)
            raise LabError(f"AMI login: {answer.get('Message')}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listening.cancel()
        self._writer.close()

    async def action(self, **headers: str) -> Message:
        """Send an action; returns its response (not the list that may follow)."""
        number = f"tap-{next(self._numbers)}"
        lines = [f"{name}: {value}\r\n" for name, value in {**headers, "ActionID": number}.items()]
        self._writer.write(("".join(lines) + "\r\n").encode())
        return await self.wait_for(lambda m: m.get("ActionID") == number and "Response" in m)

    async def wait_for(self, wanted: Callable[[Message], bool], deadline_s: float = LIMIT_S, since: int = 0) -> Message:
        """The first message from number `since` on that is wanted. Raises TimeoutError."""
        async with asyncio.timeout(deadline_s), self._news:
            seen = since
            while True:
                for message in self.messages[seen:]:
                    if wanted(message):
                        return message
                seen = max(since, len(self.messages))
                await self._news.wait()

    async def wait_until(self, enough: Callable[["AmiWitness"], bool], deadline_s: float = LIMIT_S) -> None:
        """Wait until what has come so far is enough. Raises TimeoutError."""
        async with asyncio.timeout(deadline_s), self._news:
            await self._news.wait_for(lambda: enough(self))

    async def _listen(self) -> None:
        while True:
            text = (await self._reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
            message: dict[str, str] = {}
            for name, _, value in (line.partition(":") for line in text.split("\r\n") if line):
                # Callers can smuggle in more (lab.scenarios.hostile_callers)
                message.setdefault(name, value.strip())
            async with self._news:
                self.texts.append(text)
                self.messages.append(message)
                self._news.notify_all()
