"""What a follower keeps of what it received when a worker is lost. Its connections are the test's."""

import uuid
from typing import Any

from argosy.clock import SystemClock
from argosy.gateway.stream.follower import Follower
from argosy.gateway.stream.subscription import Subscription, Target
from argosy.rpc.signed_call import Callee
from argosy.rpc.watch_pb2 import At, Frame, Item, Moved, Refused, Subscribed
from argosy.store.catalog import Owner
from tests.gateway.stream.until import until

OWNER = Owner(uuid.uuid4(), 1, "127.0.0.1:1")
FORMER = uuid.uuid4()


class WorkerConnections:
    """Everything that was subscribed at; it is answered when a test says so."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.credit_size_bytes = 65_536
        self.asked: list[Subscription] = []

    def owner_of(self, partition: int) -> Owner:
        return OWNER

    async def owner_now(self, partition: int) -> Owner:
        return OWNER

    def subscribe(self, subscription: Subscription) -> None:
        self.asked.append(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        """It is over."""

    async def until_asked(self, count: int) -> Subscription:
        await until(lambda: len(self.asked) == count)
        return self.asked[-1]


def say(subscription: Subscription, **what: Any) -> None:
    subscription.receiver.receive(subscription, Item(subscription=subscription.id, **what))


def frame(n: int) -> Any:
    return Frame(n=n, patch=b"[]")


class Client:
    """One that has frame 100 of the first attempt."""

    def resume(self) -> tuple[int, int]:
        return 1, 100


async def following(connections: WorkerConnections) -> tuple[Follower, Subscription]:
    """One whose owner has answered."""
    follower = Follower(connections, Target("default", 1, turn_id=uuid.uuid4()), Client())  # type: ignore[arg-type]
    follower.open()
    main = await connections.until_asked(1)
    say(main, subscribed=Subscribed())
    assert follower.take().WhichOneof("what") == "subscribed"
    return follower, main


async def test_what_waits_when_the_owner_is_lost_is_told_by_the_next_one_alone() -> None:
    connections = WorkerConnections()
    follower, main = await following(connections)
    say(main, frame=frame(101))
    say(main, frame=frame(102))
    taken = follower.take()

    main.receiver.lose(main)
    again = await connections.until_asked(2)
    say(again, subscribed=Subscribed())
    say(again, frame=frame(103))

    assert (taken.frame.n, follower.has_taken) == (101, False)
    assert again.resume == (1, 100)
    assert follower.take().WhichOneof("what") == "subscribed"
    assert (follower.take().frame.n, follower.take()) == (103, None)
    follower.close()


async def test_what_waits_when_the_owner_refuses_is_dropped_and_when_it_moved_it_stands() -> None:
    connections = WorkerConnections()
    follower, main = await following(connections)
    say(main, frame=frame(101))
    say(main, refused=Refused())
    again = await connections.until_asked(2)
    say(again, subscribed=Subscribed())
    assert follower.take().WhichOneof("what") == "subscribed"

    say(again, frame=frame(102))
    say(again, moved=Moved(still_streams=False))

    assert follower.take().frame.n == 102
    assert follower.has_taken
    follower.close()


async def test_a_step_that_goes_on_elsewhere_is_sought_again_when_its_line_breaks() -> None:
    connections = WorkerConnections()
    follower, main = await following(connections)
    say(main, at=At(worker_id=FORMER.bytes, address="127.0.0.1:2"))
    former = await connections.until_asked(2)
    say(former, subscribed=Subscribed())
    say(former, frame=frame(101))

    former.receiver.lose(former)
    again = await connections.until_asked(3)
    again.receiver.lose(again)  # it does not answer: it is gone

    assert follower.take() is None
    assert (again.callee, again.is_frames_only) == (Callee(FORMER, "127.0.0.1:2"), True)
    assert (len(connections.asked), follower.is_live) == (3, True)
    follower.close()


async def test_a_step_whose_former_owner_is_done_with_it_is_not_sought_again() -> None:
    connections = WorkerConnections()
    follower, main = await following(connections)
    say(main, at=At(worker_id=FORMER.bytes, address="127.0.0.1:2"))
    former = await connections.until_asked(2)
    say(former, subscribed=Subscribed())
    say(former, frame=frame(101))

    say(former, moved=Moved(still_streams=False))

    assert (follower.take().frame.n, len(connections.asked)) == (101, 2)
    follower.close()
