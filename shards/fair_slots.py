"""Slots of which a shard has few, given fairly to its tenants.

Rules:
- One tenant has at most its share of the slots, also where nobody else asks: half of them, and at least one. What is
  done in a slot may take long, and whoever comes next is not to wait for it. Where it is short, the share may be all.
- One tenant has at most half of the places to wait.
- A slot that is free goes to the tenant that has the fewest. Those that have equally many take turns: a tenant that
  gives one back is behind the others. Of one tenant, whoever came first gets it.
- Who finds neither a slot nor a place to wait is refused at once.
- Calls may share a slot that a tenant has. One that would join them asks `yields` before, and waits like one that needs
  its own when it has to: else calls that follow each other would keep the slot for ever.
- Nothing is kept of a tenant that has no slot and waits for none.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from itertools import filterfalse

from argosy.errors import ShardBusyError, ShardUnavailableError

_Waiter = asyncio.Future[None]  # done: it was given a slot, or has gone, or the shard stopped


def share_of(count: int) -> int:
    """Return how many of these one tenant may have."""
    return max(1, count // 2)


class FairSlots:
    """Used on one event loop. name: what takes slots, and bound: the setting of the bound that refuses; both for
    messages. waiting_max: how many may wait for a slot. share: of one tenant, where that is not half.
    """

    def __init__(self, name: str, count: int, *, waiting_max: int, bound: str, share: int | None = None) -> None:
        self._name = name
        self._bound = bound
        self._free = count
        self._share = share_of(count) if share is None else share
        self._waiting_max = waiting_max
        self._waiting_share = min(waiting_max, share_of(waiting_max))
        self._had: Counter[str] = Counter()  # by tenant; none has 0
        self._waiting: dict[str, dict[_Waiter, None]] = {}  # by tenant, whose turn it is first; none is empty
        self._waiting_count = 0
        self._is_closed = False

    @property
    def count(self) -> int:
        """The slots that are had, and those that are waited for."""
        return self._had.total() + self._waiting_count

    @contextlib.asynccontextmanager
    async def held(self, tenant: str) -> AsyncIterator[None]:
        """Have a slot, which may be waited for. Raises what `take` does."""
        await self.take(tenant)
        try:
            yield
        finally:
            self.give_back(tenant)

    async def take(self, tenant: str) -> None:
        """Wait for a slot. Raises ShardBusyError if there is no place to wait, and ShardUnavailableError if closed."""
        self._check_open()
        if self._free and self._had[tenant] < self._share:
            self._give(tenant)
            return
        self._check_room(tenant)
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, {})[waiter] = None
        self._waiting_count += 1
        try:
            await waiter
            self._check_open()
        except BaseException:
            if not self._forget(tenant, waiter):  # it was given a slot at this very moment
                self.give_back(tenant)
            raise

    def give_back(self, tenant: str) -> None:
        self._free += 1
        self._had[tenant] -= 1
        if not self._had[tenant]:
            del self._had[tenant]
        if waiters := self._waiting.pop(tenant, None):
            self._waiting[tenant] = waiters  # behind the others
        while self._free and (following := self._following()):
            self._hand_over(*following)

    def yields(self, tenant: str) -> bool:
        """Whether a slot of this tenant is the next that should be free: it waits for one itself, or somebody does who
        has fewer, and nobody has more.
        """
        had = self._had[tenant]
        if had < self._share and (self._free or had < max(self._had.values(), default=0)):
            return False
        return any(each == tenant or self._had[each] < had for each in self._waiting)

    def close(self) -> None:
        """Let nobody wait any more, and nobody have a slot who has none."""
        self._is_closed = True
        for waiters in self._waiting.values():
            for waiter in filterfalse(_Waiter.done, waiters):
                waiter.set_result(None)

    def _following(self) -> tuple[str, _Waiter] | None:
        """Return who is to have a slot that is free, if anybody may."""
        ready = [
            (tenant, waiter)
            for tenant, waiters in self._waiting.items()
            if self._had[tenant] < self._share and (waiter := next(filterfalse(_Waiter.done, waiters), None))
        ]
        return min(ready, key=lambda each: self._had[each[0]], default=None)

    def _hand_over(self, tenant: str, waiter: _Waiter) -> None:
        self._forget(tenant, waiter)
        self._give(tenant)
        waiter.set_result(None)

    def _give(self, tenant: str) -> None:
        self._free -= 1
        self._had[tenant] += 1

    def _forget(self, tenant: str, waiter: _Waiter) -> bool:
        """Have it wait no more. Return whether it did until now."""
        waiters = self._waiting.get(tenant, {})
        if waiter not in waiters:
            return False
        del waiters[waiter]
        if not waiters:
            del self._waiting[tenant]
        self._waiting_count -= 1
        return True

    def _check_open(self) -> None:
        if self._is_closed:
            raise ShardUnavailableError("this shard stopped")

    def _check_room(self, tenant: str) -> None:
        """Raise ShardBusyError when a call of this tenant may not wait."""
        waiting = len(self._waiting.get(tenant, ()))
        is_full = self._waiting_count >= self._waiting_max
        if is_full and not self._free:
            raise ShardBusyError(f"this shard has {self.count} {self._name} ({self._bound}): no more fit, ask again")
        if is_full or waiting >= self._waiting_share:
            raise ShardBusyError(
                f"this tenant has {self._had[tenant] + waiting} {self._name} at this shard: one tenant may have half of"
                f" what a shard takes ({self._bound}), ask again"
            )
