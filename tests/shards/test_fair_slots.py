"""Few slots for many tenants: none of them has all, and none waits behind all calls of another."""

import asyncio

import pytest

from argosy.errors import ShardBusyError, ShardUnavailableError
from argosy.shards.fair_slots import FairSlots


class Asking:
    """Calls of tenants, by their letters, for slots. got: whose call got one, in order."""

    def __init__(self, count: int, *, waiting_max: int = 100, share: int | None = None) -> None:
        self.slots = FairSlots("reads", count, waiting_max=waiting_max, bound="SHARD_BOUND", share=share)
        self.got = ""

    async def ask(self, tenants: str) -> list[asyncio.Task[None]]:
        asked = [asyncio.create_task(self._take(each)) for each in tenants]
        await _settled()
        return asked

    async def give_back(self, tenants: str) -> str:
        """Return who gets what is given back, in order."""
        before = len(self.got)
        for each in tenants:
            self.slots.give_back(each)
        await _settled()
        return self.got[before:]

    async def _take(self, tenant: str) -> None:
        await self.slots.take(tenant)
        self.got += tenant


async def _settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("count", "most"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (64, 32)])
async def test_one_tenant_has_at_most_half_of_the_slots(count: int, most: int) -> None:
    asking = Asking(count)

    await asking.ask("a" * 40)

    assert asking.got == "a" * most
    assert asking.slots.count == 40


async def test_a_tenant_whose_share_is_all_waits_when_another_does() -> None:
    asking = Asking(2, share=2)
    await asking.ask("aaaabb")

    assert await asking.give_back("a") == "b"
    assert await asking.give_back("a") == "a"
    assert await asking.give_back("b") == "b"


async def test_another_tenant_finds_a_slot_whatever_waits() -> None:
    asking = Asking(2)
    await asking.ask("aaaaa")

    await asking.ask("b")

    assert asking.got == "ab"


async def test_a_free_slot_goes_to_the_tenant_that_has_the_fewest() -> None:
    asking = Asking(4)
    await asking.ask("aaabbbcc")

    given = [await asking.give_back(each) for each in "abc"]

    assert asking.got[:4] == "aabb"
    assert given == ["c", "c", "a"]


async def test_tenants_that_have_equally_many_take_turns() -> None:
    asking = Asking(1)
    await asking.ask("aaaabbc")

    given = [await asking.give_back(each) for each in "abcaba"]

    assert given == ["b", "c", "a", "b", "a", "a"]


async def test_a_tenant_that_waits_with_more_than_half_is_refused_and_another_is_not() -> None:
    asking = Asking(2, waiting_max=4)
    await asking.ask("aaa")

    late, other, waiting = await asking.ask("abb")

    with pytest.raises(ShardBusyError, match=r"this tenant has 3 reads .* half of .*SHARD_BOUND"):
        await late
    assert other.done()
    assert not waiting.done()
    assert asking.got == "ab"


async def test_one_call_more_than_may_wait_is_refused() -> None:
    asking = Asking(2, waiting_max=4)
    await asking.ask("aaabbb")

    (late,) = await asking.ask("c")

    with pytest.raises(ShardBusyError, match=r"this shard has 6 reads \(SHARD_BOUND\)"):
        await late


async def test_where_nobody_may_wait_the_tenant_is_told_whose_slots_are_taken() -> None:
    asking = Asking(4, waiting_max=0)
    await asking.ask("aa")

    (too_many,) = await asking.ask("a")
    await asking.ask("bb")
    (too_late,) = await asking.ask("c")

    with pytest.raises(ShardBusyError, match="this tenant has 2 reads"):
        await too_many
    with pytest.raises(ShardBusyError, match="this shard has 4 reads"):
        await too_late
    assert asking.got == "aabb"


async def test_a_call_that_has_gone_takes_no_slot() -> None:
    asking = Asking(1)
    _, gone, given, last = await asking.ask("abbc")

    gone.cancel()
    asking.slots.give_back("a")  # before the one that has gone has heard of it
    given.cancel()  # likewise
    await asyncio.wait({gone, given, last})

    assert asking.got == "ac"
    assert asking.slots.count == 1


async def test_a_call_that_goes_as_it_gets_a_slot_hands_it_on() -> None:
    asking = Asking(1)
    _, going, last = await asking.ask("abc")

    asking.slots.give_back("a")
    going.cancel()
    await asyncio.wait({going, last})

    assert asking.got == "ac"
    assert asking.slots.count == 1


async def test_nothing_is_kept_of_tenants_that_are_done() -> None:
    asking = Asking(2, waiting_max=10)
    empty = {name: repr(value) for name, value in vars(asking.slots).items()}
    *_, waiting = await asking.ask("aaabbbc")
    waiting.cancel()

    await asking.give_back("abab")
    await asking.give_back("ab")

    assert asking.got == "ababab"
    assert {name: repr(value) for name, value in vars(asking.slots).items()} == empty


async def test_a_slot_that_is_held_is_given_back_whatever_happens() -> None:
    slots = FairSlots("reads", 1, waiting_max=0, bound="SHARD_BOUND")

    with pytest.raises(LookupError):
        async with slots.held("a"):
            raise LookupError

    assert slots.count == 0


async def test_at_the_end_nobody_waits() -> None:
    asking = Asking(1)
    _, waiting, cancelled = await asking.ask("abb")

    asking.slots.close()
    cancelled.cancel()
    (late,) = await asking.ask("c")

    for each in (waiting, late):
        with pytest.raises(ShardUnavailableError, match="stopped"):
            await each
    assert await asking.give_back("a") == ""
    assert asking.slots.count == 0


async def test_calls_share_a_slot_while_nobody_waits() -> None:
    asking = Asking(4)

    await asking.ask("aabb")

    assert not asking.slots.yields("a")


async def test_a_tenant_that_waits_yields_and_others_do_not() -> None:
    asking = Asking(4)

    await asking.ask("aaab")

    assert [asking.slots.yields(each) for each in "abc"] == [True, False, False]


async def test_only_those_that_have_the_most_yield_to_one_that_has_fewer() -> None:
    asking = Asking(5)
    await asking.ask("aabbc")

    await asking.ask("d")

    assert [asking.slots.yields(each) for each in "abc"] == [True, True, False]


async def test_one_that_waits_yields_nothing_while_another_has_more() -> None:
    asking = Asking(4)
    await asking.ask("aabc")

    await asking.ask("b")

    assert [asking.slots.yields(each) for each in "abc"] == [True, False, False]
