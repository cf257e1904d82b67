"""Clients of a fleet that does not stand still: they send all kinds of turns, and follow some of them."""

import asyncio
import itertools
import random
from collections.abc import Sequence

from tests.checker.followed import Followed, Message, breaches
from tests.checker.seen import History
from tests.faults.followed_workflows import SECRET
from tests.faults.following import http_of, read
from tests.faults.storm import converse
from tests.harness.client import Client

_SESSIONS = 60
_PAUSE_S = 0.5  # mean, of a session between its turns
_FOLLOWED = 10  # sessions in which each turn is followed over the wire
_WORDS = 40
_LONG_STEP_S = 4.0


class Load:
    """Sends turns for as long as the block lasts. turns: those that were accepted."""

    def __init__(self, client: Client, urls: Sequence[str], seed: int) -> None:
        self._client = client
        self._urls = urls
        self._seed = seed
        self._is_over = asyncio.Event()
        self.turns: list[str] = []
        self.followed: list[Followed] = []

    async def __aenter__(self) -> "Load":
        self._http = http_of()
        self._sending = asyncio.gather(
            *(self._converse(f"talk-{number}") for number in range(_SESSIONS)),
            *(self._follow(f"watch-{number}") for number in range(_FOLLOWED)),
            *(self._dawdle(f"slow-{number}") for number in range(_FOLLOWED)),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over.set()
        try:
            await self._sending
        finally:
            await self._http.aclose()

    async def for_s(self, seconds: float) -> None:
        """Go on for so long. Raises what went wrong in a session."""
        done, _ = await asyncio.wait([self._sending], timeout=seconds)
        for each in done:
            each.result()

    async def _converse(self, session: str) -> None:
        for number in itertools.count():
            if self._is_over.is_set():
                return
            self.turns += await converse(self._client, session, 1, self._seed * 100_000 + number, _PAUSE_S)

    async def _dawdle(self, session: str) -> None:
        """Steps that are in flight whenever a process goes."""
        while not self._is_over.is_set():
            self.turns.append(await self._client.post(session, "dawdles", effects=2, n=2, step_s=_LONG_STEP_S))
            await self._client.until_status(self.turns[-1:], within_s=90)

    async def _follow(self, session: str) -> None:
        dice = random.Random(f"{self._seed} {session}")
        while not self._is_over.is_set():
            turn_id = await self._client.post(session, "talks", effects=4, words=_WORDS)
            self.turns.append(turn_id)
            sent: list[asyncio.Task[int]] = []

            def answer(message: Message, turn_id: str = turn_id, sent: list[asyncio.Task[int]] = sent) -> None:
                if message.type == "wait.started" and message.data.get("kind") == "signal" and not sent:
                    sent.append(asyncio.create_task(self._client.signal(turn_id, "go", "on")))

            async with asyncio.timeout(120):
                self.followed.append(await read(self._http, self._urls, turn_id, dice.getrandbits(32), answer))
            assert [await each for each in sent] in ([200], [202]), f"the signal to {turn_id}"

    def breaches(self, history: History) -> list[str]:
        """What clients were told wrong, in plain words."""
        return [line for each in self.followed for line in breaches(each, history.reads[each.turn_id], [SECRET])]
