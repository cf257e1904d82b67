"""Requests that were refused, counted into few rows of the audit: a flood must fill no disk. No I/O.

A row is of one network, reason and tenant. Of each tenant, and of those who are of none, OWN_MAX rows at a time are of
a network of their own, and all that is beyond counts as that of OTHERS: so who asks from everywhere, without a
credential, hides nothing that a tenant is told.
"""

from collections import Counter
from typing import Final

from argosy.store.audit import REFUSALS_MAX, Act, Refusals

OWN_MAX: Final = 100
OTHERS: Final = "others"
UNKNOWN: Final = "unknown"  # an actor whose credential was bad, or who had none

_Key = tuple[str, str, str | None]


class RefusedRequests:
    """Those of a minute."""

    def __init__(self) -> None:
        self._acts: dict[_Key, Act] = {}
        self._numbers: Counter[_Key] = Counter()
        self._own: Counter[str | None] = Counter()

    def add(self, act: Act, network: str) -> None:
        """Count one. network: of its source, which a row names when it is of several addresses."""
        self._count((network, act.reason, act.tenant), act, 1)

    def add_all(self, later: "RefusedRequests") -> None:
        """Count those of the minute after."""
        for key, act in later._acts.items():
            self._count(key, act, later._numbers[key])

    def rows(self) -> list[Refusals]:
        """Return what the audit is to have."""
        return [Refusals(act, self._numbers[key]) for key, act in self._acts.items()]

    def _count(self, key: _Key, act: Act, number: int) -> None:
        network, reason, tenant = key
        if key not in self._acts and network != OTHERS and self._own[tenant] >= OWN_MAX:
            network, key = OTHERS, (OTHERS, reason, tenant)
            act = act._replace(actor_kind=UNKNOWN, actor_id="", token_id=None, request_id="", source=OTHERS)
        first = self._acts.get(key)
        if first is None:
            if len(self._acts) >= REFUSALS_MAX:
                return
            self._acts[key] = act
            self._own[tenant] += network != OTHERS
        elif first.source != act.source:
            self._acts[key] = first._replace(source=network)
        self._numbers[key] += number
