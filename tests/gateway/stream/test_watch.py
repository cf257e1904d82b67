"""What one client's interest keeps of what it heard when a worker is lost. Its lines are the test's."""

import uuid
from typing import Any

from argosy.clock import SystemClock
from argosy.gateway.stream.subscription import Subscription, Wanted
from argosy.gateway.stream.watch import Watch
from argosy.rpc.signed_call import Callee
from argosy.rpc.watch_pb2 import At, Frame, Item, Moved, Refused, Subscribed
from argosy.store.catalog import Owner
from tests.gateway.stream.until import until

OWNER = Owner(uuid.uuid4(), 1, "127.0.0.1:1")
FORMER = uuid.uuid4()


class Lines:
    """Everything that was subscribed at; it is answered when a test says so."""

    def __init__(self) -> None:
        self.clock = SystemClock()
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
    subscription.hearer.hear(subscription, Item(subscription=subscription.id, **what))


def frame(n: int) -> Any:
    return Frame(n=n, patch=b"[]")


async def watching(lines: Lines) -> tuple[Watch, Subscription]:
    """One whose owner has answered."""
    watch = Watch(lines, Wanted("default", 1, turn_id=uuid.uuid4()), lambda: (1, 100))  # type: ignore[arg-type]
    watch.open()
    main = await lines.until_asked(1)
    say(main, subscribed=Subscribed())
    assert watch.take().WhichOneof("what") == "subscribed"
    return watch, main


async def test_what_waits_when_the_owner_is_lost_is_told_by_the_next_one_alone() -> None:
    lines = Lines()
    watch, main = await watching(lines)
    say(main, frame=frame(101))
    say(main, frame=frame(102))
    taken = watch.take()

    main.hearer.lose(main)
    again = await lines.until_asked(2)
    say(again, subscribed=Subscribed())
    say(again, frame=frame(103))

    assert (taken.frame.n, watch.has_taken) == (101, False)
    assert again.resume == (1, 100)
    assert watch.take().WhichOneof("what") == "subscribed"
    assert (watch.take().frame.n, watch.take()) == (103, None)
    watch.close()


async def test_what_waits_when_the_owner_refuses_is_dropped_and_when_it_moved_it_stands() -> None:
    lines = Lines()
    watch, main = await watching(lines)
    say(main, frame=frame(101))
    say(main, refused=Refused())
    again = await lines.until_asked(2)
    say(again, subscribed=Subscribed())
    assert watch.take().WhichOneof("what") == "subscribed"

    say(again, frame=frame(102))
    say(again, moved=Moved(still_streams=False))

    assert watch.take().frame.n == 102
    assert watch.has_taken
    watch.close()


async def test_a_step_that_goes_on_elsewhere_is_sought_again_when_its_line_breaks() -> None:
    lines = Lines()
    watch, main = await watching(lines)
    say(main, at=At(worker_id=FORMER.bytes, address="127.0.0.1:2"))
    aside = await lines.until_asked(2)
    say(aside, subscribed=Subscribed())
    say(aside, frame=frame(101))

    aside.hearer.lose(aside)
    again = await lines.until_asked(3)
    again.hearer.lose(again)  # it does not answer: it is gone

    assert watch.take() is None
    assert (again.callee, again.is_frames_only) == (Callee(FORMER, "127.0.0.1:2"), True)
    assert (len(lines.asked), watch.is_live) == (3, True)
    watch.close()


async def test_a_step_whose_former_owner_is_done_with_it_is_not_sought_again() -> None:
    lines = Lines()
    watch, main = await watching(lines)
    say(main, at=At(worker_id=FORMER.bytes, address="127.0.0.1:2"))
    aside = await lines.until_asked(2)
    say(aside, subscribed=Subscribed())
    say(aside, frame=frame(101))

    say(aside, moved=Moved(still_streams=False))

    assert (watch.take().frame.n, len(lines.asked)) == (101, 2)
    watch.close()
