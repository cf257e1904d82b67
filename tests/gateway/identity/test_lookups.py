"""However many invented tokens come, few are asked for in Postgres."""

import asyncio

import pytest

from argosy.errors import StoreUnavailableError
from argosy.gateway import lookups
from argosy.gateway.lookups import ABSENT_S, RATE, LookupRefusedError, Lookups
from tests.harness.hand_clock import HandClock, settled


class Asked:
    """What is asked: every key, in order. An answer comes when the test lets it."""

    def __init__(self, *there: bytes) -> None:
        self.keys: list[bytes] = []
        self.error: Exception | None = None
        self._there = there
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, key: bytes) -> str | None:
        self.keys.append(key)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return key.decode() if key in self._there else None


async def test_all_who_ask_at_the_same_time_share_one_question() -> None:
    asked = Asked(b"a")
    found = Lookups(asked, HandClock())
    asked.gate.clear()
    waiting = [asyncio.create_task(found.find(b"a")) for _ in range(100)]
    await settled()
    asked.gate.set()

    assert await asyncio.gather(*waiting) == ["a"] * 100
    assert asked.keys == [b"a"]


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    asked = Asked(b"a")
    found = Lookups(asked, HandClock())
    asked.gate.clear()
    first, second = [asyncio.create_task(found.find(b"a")) for _ in range(2)]
    await settled()
    first.cancel()
    await settled()
    asked.gate.set()

    assert await second == "a"
    assert asked.keys == [b"a"]


async def test_what_is_not_there_is_not_asked_for_again_for_a_while() -> None:
    clock, asked = HandClock(), Asked()
    found = Lookups(asked, clock)

    assert [await found.find(b"a") for _ in range(3)] == [None] * 3
    clock.now_s += ABSENT_S
    assert await found.find(b"a") is None
    assert asked.keys == [b"a", b"a"]


async def test_at_most_so_many_are_asked_for_in_a_second() -> None:
    clock, asked = HandClock(), Asked()
    found = Lookups(asked, clock)
    refused = 0

    for second in range(3):
        for number in range(100):
            try:
                await found.find(b"%d-%d" % (second, number))
            except LookupRefusedError:
                refused += 1
        clock.now_s += 1.0

    assert len(asked.keys) == 3 * RATE
    assert refused == 300 - 3 * RATE


async def test_an_error_is_no_answer_and_is_asked_again() -> None:
    asked = Asked(b"a")
    found = Lookups(asked, HandClock())
    asked.error = StoreUnavailableError("away")

    with pytest.raises(StoreUnavailableError):
        await found.find(b"a")
    asked.error = None

    assert await found.find(b"a") == "a"


async def test_what_is_remembered_as_absent_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "RATE", 1e9)
    monkeypatch.setattr(lookups, "ABSENT_MAX", 10)
    asked = Asked()
    found = Lookups(asked, HandClock())

    for number in [*range(15), 14, 5, 4, 0]:
        await found.find(b"%d" % number)

    assert [asked.keys.count(b"%d" % number) for number in (14, 5, 4, 0)] == [1, 1, 2, 2], "the oldest made room"
