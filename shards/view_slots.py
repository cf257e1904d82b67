"""Slots that views have, each at most one, shared fairly between tenants."""

from argosy.shards.fair_slots import FairSlots
from argosy.shards.kept_view import KeptView


class ViewSlots:
    """Used on one event loop."""

    def __init__(self, slots: FairSlots) -> None:
        self._slots = slots
        self._having: set[KeptView] = set()

    def __len__(self) -> int:
        return len(self._having)

    def __contains__(self, kept: KeptView) -> bool:
        return kept in self._having

    async def take(self, kept: KeptView) -> bool:
        """Wait for a slot, in its tenant's turn. Return whether the view had none until then: else it keeps that one,
        and whoever took it for the view gives it back.
        """
        await self._slots.take(kept.ref.tenant)
        if kept in self._having:
            self._slots.give_back(kept.ref.tenant)
            return False
        self._having.add(kept)
        return True

    def give_back(self, kept: KeptView) -> None:
        """Give back the slot of a view, if it has one."""
        if kept in self._having:
            self._having.remove(kept)
            self._slots.give_back(kept.ref.tenant)

    def yields(self, kept: KeptView) -> bool:
        """Whether one more query for a view that has a slot has to wait as if it had none."""
        return self._slots.yields(kept.ref.tenant)

    def close(self) -> None:
        """Let nobody wait any more."""
        self._slots.close()
