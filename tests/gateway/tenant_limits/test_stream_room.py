"""How many streams of a tenant gateways open that ask Postgres only now and then. Time is the test's."""

import random
import uuid

import pytest

from argosy.gateway.tenant_limits.stream_room import StreamRoom
from argosy.identity.tenant_limits import TenantLimits
from argosy.store.limits import Settled

TENANT = "t"


class Own:
    def __init__(self, limits: TenantLimits | None = None) -> None:
        self.limits = limits

    def limits_of(self, tenant: str) -> TenantLimits | None:
        return self.limits


class Rooms:
    """Gateways, and what Postgres knows of their streams."""

    def __init__(self, count: int, most: int) -> None:
        self.rounds = 0
        self.rooms = {uuid.uuid4(): StreamRoom(most, Own()) for _ in range(count)}
        self.allowed: dict[uuid.UUID, int] = {}
        for gateway in self.rooms:
            self.settle(gateway)

    @property
    def open(self) -> int:
        return sum(room.count(TENANT) for room in self.rooms.values())

    def settle(self, gateway: uuid.UUID) -> None:
        """As argosy/store/functions/limits.sql does it."""
        self.allowed.pop(gateway, None)
        place = (sorted(self.rooms).index(gateway) + self.rounds // 2) % len(self.rooms)
        for told in self.rooms[gateway].due():
            free = told.most - told.opened - sum(self.allowed.values())
            self.allowed[gateway] = told.opened + max((free + place) // len(self.rooms), 0)
        mine = {TENANT: self.allowed[gateway]} if gateway in self.allowed else {}
        self.rooms[gateway].settled(Settled(len(self.rooms), place, [], mine))

    def fill(self, gateway: uuid.UUID) -> int:
        opened = 0
        while self.rooms[gateway].has_room(TENANT):
            self.rooms[gateway].opened(TENANT)
            opened += 1
        return opened

    def go_on(self) -> None:
        for gateway in self.rooms:
            self.settle(gateway)
        self.rounds += 1


@pytest.mark.parametrize("most", [3, 30, 1_000])
def test_a_tenant_whose_streams_all_come_to_one_gateway_has_all_of_them_there(most: int) -> None:
    rooms = Rooms(3, most)
    only = next(iter(rooms.rooms))

    for _ in range(24):
        rooms.fill(only)
        rooms.go_on()

    assert rooms.open == most


@pytest.mark.parametrize(("count", "most"), [(2, 100), (3, 1_000), (5, 40)])
def test_what_comes_to_all_at_once_stays_within_a_tenth(count: int, most: int) -> None:
    rooms, rng = Rooms(count, most), random.Random(3)

    for _ in range(40):
        for gateway in rng.sample(list(rooms.rooms), count):
            rooms.fill(gateway)
            if rng.random() < 0.5:
                rooms.settle(gateway)
        rooms.rounds += 1
        assert rooms.open <= max(1.1 * most, most + count - 1)

    assert rooms.open >= 0.95 * most


def test_streams_that_are_closed_make_room_anywhere() -> None:
    rooms = Rooms(2, 10)
    one, other = rooms.rooms
    for _ in range(10):
        rooms.fill(one)
        rooms.go_on()
    for _ in range(10):
        rooms.rooms[one].closed(TENANT)
    for _ in range(10):
        rooms.fill(other)
        rooms.go_on()

    assert (rooms.rooms[one].count(TENANT), rooms.rooms[other].count(TENANT)) == (0, 10)


def test_without_postgres_each_gateway_has_what_it_had() -> None:
    rooms = Rooms(2, 100)
    one, other = rooms.rooms
    rooms.fill(one)
    rooms.settle(one)

    assert (rooms.fill(one) + rooms.fill(other), rooms.open) == (51, 53)


def test_a_tenants_own_number_is_its_number() -> None:
    room = StreamRoom(10, Own(TenantLimits(streams=2)))

    assert (room.most(TENANT), room.due()) == (2, [])
