"""The breaker of a shard: when it lets calls through, and that nothing can make it refuse them for ever."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from argosy.graph.breaker import Breaker, BreakerState, Pass

FAILURES_MAX, PAUSE_S, PROBE_S = 3, 15.0, 5.0


def opened() -> Breaker:
    breaker = Breaker(FAILURES_MAX, PAUSE_S, PROBE_S)
    for _ in range(FAILURES_MAX):
        breaker.failed(admitted(breaker, 0.0), 0.0)
    return breaker


def admitted(breaker: Breaker, now_s: float) -> Pass:
    call = breaker.admit(now_s)
    assert call is not None
    return call


def test_failures_in_a_row_open_it() -> None:
    breaker = opened()

    assert breaker.state is BreakerState.OPEN
    assert breaker.admit(PAUSE_S - 0.1) is None


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(2, PAUSE_S, PROBE_S)
    breaker.failed(admitted(breaker, 0.0), 0.0)
    breaker.succeeded(admitted(breaker, 0.0))
    breaker.failed(admitted(breaker, 0.0), 0.0)

    assert breaker.state is BreakerState.CLOSED


def test_after_the_pause_one_call_alone_goes_through() -> None:
    breaker = opened()

    probe = admitted(breaker, PAUSE_S)
    assert breaker.admit(PAUSE_S) is None
    breaker.succeeded(probe)

    assert breaker.state is BreakerState.CLOSED
    assert breaker.admit(PAUSE_S) is not None


def test_a_probe_that_fails_begins_another_pause() -> None:
    breaker = opened()

    breaker.failed(admitted(breaker, PAUSE_S), PAUSE_S)

    assert breaker.admit(2 * PAUSE_S - 0.1) is None
    assert breaker.admit(2 * PAUSE_S) is not None


def test_a_probe_that_was_given_up_makes_room_for_the_next_one() -> None:
    breaker = opened()

    breaker.gave_up(admitted(breaker, PAUSE_S), PAUSE_S)

    assert breaker.admit(PAUSE_S) is not None


def test_a_probe_that_was_lost_makes_room_after_its_time() -> None:
    breaker = opened()
    lost = admitted(breaker, PAUSE_S)

    assert breaker.admit(PAUSE_S + PROBE_S - 0.1) is None
    following = admitted(breaker, PAUSE_S + PROBE_S)
    breaker.succeeded(lost)
    assert breaker.admit(PAUSE_S + PROBE_S) is None, "what the lost one comes to is of another time"
    breaker.succeeded(following)

    assert breaker.state is BreakerState.CLOSED


def test_an_old_success_does_not_close_it() -> None:
    breaker = Breaker(FAILURES_MAX, PAUSE_S, PROBE_S)
    old = admitted(breaker, 0.0)
    for _ in range(FAILURES_MAX):
        breaker.failed(admitted(breaker, 0.0), 0.0)

    breaker.succeeded(old)

    assert breaker.state is BreakerState.OPEN


def test_without_a_bound_it_never_opens() -> None:
    breaker = Breaker(0, PAUSE_S, PROBE_S)
    for _ in range(100):
        breaker.failed(admitted(breaker, 0.0), 0.0)

    assert breaker.state is BreakerState.CLOSED


class AnyCalls(RuleBasedStateMachine):
    """Calls begin and end in any order, or are lost; whatever they do, the shard is asked again in time."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(FAILURES_MAX, PAUSE_S, PROBE_S)
        self.now_s = 0.0
        self.refused_since_s: float | None = None

    @rule(target=calls)
    def begin(self) -> Pass | None:
        call = self.breaker.admit(self.now_s)
        if call is not None:
            self.refused_since_s = None
        elif self.refused_since_s is None:
            self.refused_since_s = self.now_s
        return call

    @rule(call=consumes(calls), outcome=st.sampled_from(["success", "failure", "given up", "lost"]))
    def end(self, call: Pass | None, outcome: str) -> None:
        if call is None:
            return
        if outcome == "success":
            self.breaker.succeeded(call)
        elif outcome == "failure":
            self.breaker.failed(call, self.now_s)
        elif outcome == "given up":
            self.breaker.gave_up(call, self.now_s)

    @rule(seconds=st.floats(0.0, 30.0))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def a_refusal_ends(self) -> None:
        self.now_s += max(PAUSE_S, PROBE_S)
        assert self.breaker.admit(self.now_s) is not None

    @invariant()
    def a_closed_one_refuses_nothing(self) -> None:
        if self.breaker.state is BreakerState.CLOSED:
            assert self.breaker.admit(self.now_s) is not None


TestAnyCalls = AnyCalls.TestCase
TestAnyCalls.settings = settings(max_examples=50, deadline=None)
