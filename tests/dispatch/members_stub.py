"""The members of a fleet, as a test says."""

import uuid
from collections.abc import Callable
from typing import ClassVar

from argosy.workers.dispatch.ring import Member


class MembersStub:
    """In place of `Members`. is_living: says which workers live; address: the address of every worker."""

    all: ClassVar[list[Member]] = []

    def __init__(self, is_living: Callable[[uuid.UUID], bool], address: str = "") -> None:
        self.is_living = is_living
        self._address = address

    def address_of(self, _: uuid.UUID) -> str:
        return self._address
