"""A line to one shard: its connection, its breaker, and what is tried again.

Rules:
- What is asked again, after a pause with jitter and until the deadline: reads, and writes under a key, after any
  failure; a write without a key only when it certainly changed nothing; what consumes a stream never. A file that
  the shard cannot use, and whether it enforces lists, is as it is a moment later, so nothing is asked again for these.
  In the last moments before the deadline nothing is: nobody would hear what came of it, and the failure says more than
  a deadline.
- ShardUnavailableError and OutcomeUnknownError count against the shard. Every other answer, a refusal too, counts for
  it; so does one that it is not ready for this call or cannot use this graph's file, since it may be well with other
  graphs; so does one that it does not enforce lists as this process does; so does one that a call was stopped at its
  deadline.
- Silence until the deadline counts against the shard when the call was a look or had nothing to compute (is_quick), and
  had LOOK_S for that. Of other calls it says nothing: they may ask for too much, or have too little time.
- What is said without the shard (sealed_shard.py: of keys, and what a sealed graph cannot do) says nothing of it.
- While another folder than the member's answers at its endpoint, nothing is asked there.
- An error that counts against the shard, a refusal to ask it, and any silence while it is down, says which one it is
  (ArgosyError.shard): whoever has such an error may wait until the shard is back. It is back when it answers after it
  did not, or for the first time.
"""

import random
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum
from typing import Final, Protocol, TypeVar

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import (
    ArgosyError,
    GraphDeadlineError,
    GraphFileError,
    ListsDisagreeError,
    OutcomeUnknownError,
    ShardBusyError,
    ShardSilentError,
    ShardUnavailableError,
    StoreUnavailableError,
    ViewLostError,
)
from argosy.graph.asker import Asker
from argosy.graph.breaker import Breaker, BreakerState, Pass
from argosy.graph.facts import NOBODY, GraphRef, Member
from argosy.graph.transport import Transport
from argosy.seal.errors import GraphSealedError, PayloadUnreadableError

T = TypeVar("T")
Work = Callable[[Transport, float], Awaitable[T]]  # given the seconds that are left

log = structlog.get_logger()

LOOK_S: Final = 2.0  # how long a shard may take to say which folder it has; it reads nothing for that
_PAUSE_S_MIN: Final = 0.05  # doubled each time: a connection that broke is soon there again
_PAUSE_S_MAX: Final = 1.0  # a shard that starts again is found within a second
_LAST_S_MAX: Final = 0.4  # more than what a shard takes from a call's time, to tell how it ended
_FAILURES: Final = (ShardUnavailableError, OutcomeUnknownError)
_NO_GRAPH: Final = GraphRef("default", "none", NOBODY, 0, Asker(frozenset(), is_admin=True, enforced=True))
_ANSWERS: Final = (ShardBusyError, GraphFileError, ListsDisagreeError)  # of the former
_SHOWN: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}  # as the gauge has them
_NOT_OF_SHARD: Final = (GraphSealedError, PayloadUnreadableError, StoreUnavailableError)


class Again(Enum):
    """Which errors a call may be made again after; see the rules above."""

    ALWAYS = (ShardUnavailableError, ViewLostError, OutcomeUnknownError)
    UNCHANGED = (ShardUnavailableError, ViewLostError)
    NEVER = ()


class AfterReturn(Protocol):
    """What Line tells."""

    def after_return(self, shard: uuid.UUID) -> None:
        """The shard answers after it did not, or for the first time."""


class Line:
    """A line to one shard; whoever makes it closes it. reason: why nothing is asked of the shard; empty while it may
    be. is_up: whether it answered when it was asked last; None: it was not asked yet. fault: why it did not; empty if
    it did. is_closed: nothing is asked by it any more.
    """

    def __init__(
        self,
        member: Member,
        transport: Transport,
        breaker: Breaker,
        clock: Clock,
        then: AfterReturn,
    ) -> None:
        self.member = member
        self.transport = transport
        self.reason = ""
        self.is_closed = False
        self._breaker = breaker
        self._clock = clock
        self._then = then
        self.is_up: bool | None = None
        self.fault = ""
        self._is_down_said = False
        self._disagrees = ""
        endpoint = member.endpoint
        self._up = telemetry.SHARD_UP.labels(endpoint=endpoint)
        self._answered = telemetry.SHARD_CALLS.labels(endpoint=endpoint, outcome="answered")
        self._failed = telemetry.SHARD_CALLS.labels(endpoint=endpoint, outcome="failed")
        self._retries = telemetry.SHARD_RETRIES.labels(endpoint=endpoint)
        self._opened = telemetry.SHARD_BREAKER_OPENED.labels(endpoint=endpoint)
        self._shown = telemetry.SHARD_BREAKER.labels(endpoint=endpoint)
        self._shown_state = breaker.state
        self._shown.set(_SHOWN[breaker.state])

    @property
    def why_not(self) -> str:
        """Why the shard cannot be asked, or did not answer when it was asked last, or not as this process wants it to
        (ListsDisagreeError); empty: none of these.
        """
        return self.reason or self.fault or self._disagrees

    async def ask(self, work: Work[T], until_s: float, again: Again, *, is_quick: bool = False) -> T:
        """Return what `work` returns, which is called once or, if it may be, several times, until until_s. is_quick: it
        has nothing to compute.
        """
        pause_s = _PAUSE_S_MIN
        now_s = self._clock.monotonic_s()
        last_s = until_s - min(_LAST_S_MAX, (until_s - now_s) / 5)
        while True:
            try:
                return await self._once(work, until_s, is_quick=is_quick)
            except (GraphFileError, ListsDisagreeError):
                raise
            except again.value:
                delay_s = random.uniform(0.5, 1.0) * pause_s
                now_s = self._clock.monotonic_s()
                if self.reason or now_s + delay_s >= last_s or not self._breaker.may_admit(now_s + delay_s):
                    raise
            self._retries.inc()
            await self._clock.sleep(delay_s)
            pause_s = min(pause_s * 2, _PAUSE_S_MAX)

    async def look(self, deadline_s: float = LOOK_S) -> bool:
        """Ask who answers at the endpoint, whatever the breaker says of it, and note that. Return whether it is the
        member.
        """
        call = self._breaker.admit_look(self._clock.monotonic_s())
        self._show()
        try:
            found = await self.transport.identify(deadline_s=deadline_s)
        except ArgosyError as error:
            if isinstance(error, GraphDeadlineError) and deadline_s < LOOK_S:
                self._note_nothing(call)
            else:
                self._note_down(call, error)
            return False
        except BaseException:
            self._note_nothing(call)
            raise
        if found == self.member.member_id:
            self.reason = ""
            self._note_up(call)
            return True
        self._note_nothing(call)
        self._note_foreign(found)
        return False

    async def is_right(self, until_s: float) -> bool:
        """Return whether the member is seen to answer at the endpoint, by a look that ends at until_s at the latest."""
        left_s = until_s - self._clock.monotonic_s()
        return left_s > 0 and await self.look(min(LOOK_S, left_s))

    async def check_lists(self) -> None:
        """Note whether the shard serves processes that enforce access control lists: it is asked as one of these."""
        with suppress(ArgosyError):  # that it has no such graph says that it enforces them, too
            await self._once(
                lambda shard, left_s: shard.get_acl(_NO_GRAPH, deadline_s=left_s),
                self._clock.monotonic_s() + LOOK_S,
                is_quick=True,
            )

    async def close(self) -> None:
        """End it: whoever has it still asks nothing more by it."""
        self.is_closed, self.reason = True, "the shard is no member any more, or answers elsewhere"
        self._shown.set(_SHOWN[BreakerState.CLOSED])  # nobody waits for it any more
        await self.transport.close()

    async def _once(self, work: Work[T], until_s: float, *, is_quick: bool) -> T:
        if self.reason:
            raise self._left_alone(self.reason)
        now_s = self._clock.monotonic_s()
        if now_s >= until_s:
            raise GraphDeadlineError("the deadline was over before the shard was asked")
        call = self._breaker.admit(now_s)
        if call is None:
            raise self._left_alone(f"shard {self.member.endpoint} does not answer, and is left alone for a while")
        self._show()
        try:
            answer = await work(self.transport, until_s - now_s)
        except _ANSWERS as error:
            self._note_up(call)
            if isinstance(error, ListsDisagreeError):
                self._disagrees = str(error)
            raise
        except _FAILURES as error:
            self._note_down(call, error)
            error.shard = self.member.member_id
            raise
        except ShardSilentError as error:
            if is_quick and until_s - now_s >= LOOK_S:
                self._note_down(call, error)
            else:
                self._note_nothing(call)
            if self.is_up is False:
                error.shard = self.member.member_id
            raise
        except _NOT_OF_SHARD:
            self._note_nothing(call)
            raise
        except ArgosyError:
            self._note_up(call)
            raise
        except BaseException:  # cancelled, or an error of whoever asks: the next call is the probe, if this was one
            self._note_nothing(call)
            raise
        self._note_up(call)
        self._disagrees = ""
        return answer

    def _left_alone(self, why: str) -> ShardUnavailableError:
        error = ShardUnavailableError(why)
        error.shard = self.member.member_id
        return error

    def _note_up(self, call: Pass) -> None:
        self._answered.inc()
        self._breaker.succeeded(call)
        self._show()
        self.fault = ""
        if not self.is_up:
            if self._is_down_said:
                log.info(telemetry.SHARD_REACHED, endpoint=self.member.endpoint)
            self.is_up, self._is_down_said = True, False
            self._up.set(1)
            self._then.after_return(self.member.member_id)

    def _note_down(self, call: Pass, error: ArgosyError) -> None:
        self._failed.inc()
        before = self._breaker.state
        self._breaker.failed(call, self._clock.monotonic_s())
        if self._breaker.state is BreakerState.OPEN and before is BreakerState.CLOSED:
            self._opened.inc()
        self._show()
        # A shard that never answered here may be starting, beside this process: it is said from the second time on.
        is_starting = self.is_up is None
        self.is_up = False
        self._disagrees = ""
        self.fault = f"{type(error).__name__}: {error}"
        self._up.set(0)
        if not (is_starting or self._is_down_said):
            self._is_down_said = True
            log.warning(
                telemetry.SHARD_UNREACHABLE,
                endpoint=self.member.endpoint,
                error=self.fault,
                consequence="its graphs, and no others, wait until it answers",
            )

    def _note_foreign(self, found: uuid.UUID) -> None:
        reason = f"at {self.member.endpoint} answers the folder {found}, and not {self.member.member_id}"
        if reason != self.reason:
            log.error(telemetry.SHARD_FOREIGN, reason=reason, consequence="nothing is asked there, and nothing written")
        self.reason = reason
        self.is_up = False
        self._up.set(0)

    def _show(self) -> None:
        """Show the state of the breaker, when it is another one."""
        if (state := self._breaker.state) is not self._shown_state:
            self._shown_state = state
            self._shown.set(_SHOWN[state])

    def _note_nothing(self, call: Pass) -> None:
        self._breaker.gave_up(call, self._clock.monotonic_s())
