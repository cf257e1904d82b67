"""The rounds of a loop that must not end: an error of a round is logged, and after a pause the next round begins.

argosy/store/fault.py says what each error means. Only an error that means Fault.END, and an exception that is no
Exception (a cancellation), leaves the loop. `failing` names a loop that keeps failing, unless it fails because Postgres
or the log is away.
"""

import contextlib
import weakref
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.store.fault import Fault, fault_of

log = structlog.get_logger()

_DELAY_S_MIN, _DELAY_S_MAX = 0.05, 2.0
_AWAY_S_MAX: Final = 0.5  # shorter than _DELAY_S_MAX: Postgres or the log may be back at any moment
_SAY_AGAIN_S: Final = 60.0  # the same error at the same place is not logged again within this
_PLACES_MAX: Final = 100  # that are remembered: more only means that something is said again sooner
_WORDS_MAX: Final = 2_000  # of an error, which may quote a whole statement
_IN_A_ROW: Final = 12  # more than the failures of a loop that halves a batch until the entry at fault stands alone
_ROW_S: Final = 60.0  # the count begins anew after this: `kept` sees no success of a loop that it has begun again

# The rounds of this process that failed _IN_A_ROW times in a row, by id().
_failing: "dict[int, weakref.ref[Rounds]]" = {}


def failing() -> str:
    """Return the name of a loop of this process that keeps failing, with the kind of its error; empty when none does.
    May be called from any thread.
    """
    found = (each() for each in tuple(_failing.values()))
    return next((f"{each.name} ({each.kind})" for each in found if each is not None and each.is_failing), "")


class Rounds:
    """Wraps each round of a loop: `async with rounds:`. A round that raised an error ends after a pause, which grows
    with every failure in a row.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.kind = ""  # class of the last error that counted as a failure
        self._clock = clock
        self._delay_s = 0.0
        self._failures = 0
        self._failed_at_s = float("-inf")
        self._said_at_s: dict[object, float] = {}
        self._gauge = telemetry.LOOP_FAILING.labels(loop=name)

    @property
    def delay_s(self) -> float:
        """The pause after the last failure; 0 when the last round succeeded."""
        return self._delay_s

    @property
    def is_failing(self) -> bool:
        """Whether the loop failed _IN_A_ROW times in a row and lately, not counting failures because Postgres or the
        log is away or slow.
        """
        return self._failures >= _IN_A_ROW and self._clock.monotonic_s() - self._failed_at_s < _ROW_S

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:
            self.succeeded()
            return False
        if not isinstance(error, Exception) or fault_of(error) is Fault.END:
            return False
        self.failed(error)
        await self._clock.sleep(self._delay_s)
        return True

    def succeeded(self) -> None:
        if self._delay_s:
            self._delay_s = 0.0
            self._failures = 0
            _failing.pop(id(self), None)
            self._gauge.set(0)

    def failed(self, error: Exception, **what: Any) -> Fault:
        """Log the error of a round, with what it is about, and make the next pause longer. Returns its meaning."""
        fault = fault_of(error)
        is_away = fault is Fault.AWAY
        if fault not in (Fault.AWAY, Fault.SLOW):
            self._count(error)
        self._delay_s = min(max(_DELAY_S_MIN, self._delay_s * 2), _AWAY_S_MAX if is_away else _DELAY_S_MAX)
        self._gauge.set(1)
        return self.say(error, **what)

    def _count(self, error: Exception) -> None:
        now_s = self._clock.monotonic_s()
        is_same_row = now_s - self._failed_at_s < _ROW_S
        self._failures = self._failures + 1 if is_same_row else 1
        self._failed_at_s, self.kind = now_s, type(error).__name__
        if self._failures == _IN_A_ROW:
            key = id(self)
            _failing[key] = weakref.ref(self, lambda _: _failing.pop(key, None))

    @contextlib.contextmanager
    def outlive(self, **what: Any) -> Iterator[None]:
        """Wrap what is done for one of many turns, rows or listeners: its error is logged, and the others go on. An
        error that means Fault.END is raised.
        """
        try:
            yield
        except Exception as error:
            if fault_of(error) is Fault.END:
                raise
            self.say(error, **what)

    def say(self, error: BaseException, **what: Any) -> Fault:
        """Log and count an error that the caller handles, with what it is about. Returns the error's meaning."""
        fault = fault_of(error)
        telemetry.LOOP_ERRORS.labels(loop=self.name, fault=fault.value).inc()
        words = f"{type(error).__name__}: {error}"
        if fault in (Fault.AWAY, Fault.SLOW):
            log.warning(telemetry.STORE_UNAVAILABLE, loop=self.name, error=words[:_WORDS_MAX], **what)
        elif self._is_news(error, what):
            log.error(
                telemetry.LOOP_ERROR,
                loop=self.name,
                fault=fault.value,
                error=words[:_WORDS_MAX],
                **what,
                exc_info=error if fault is Fault.BUG else None,
            )
        return fault

    def _is_news(self, error: BaseException, what: dict[str, Any]) -> bool:
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        key = (type(error), place and (place.tb_frame.f_code, place.tb_lineno), *map(str, what.values()))
        now_s = self._clock.monotonic_s()
        if now_s - self._said_at_s.get(key, float("-inf")) < _SAY_AGAIN_S:
            return False
        if len(self._said_at_s) >= _PLACES_MAX:
            self._said_at_s.clear()
        self._said_at_s[key] = now_s
        return True


async def kept(name: str, run: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Call `run` until it returns, again after every error that need not end the process. This is a second net: a loop
    inside `run` outlives the errors of its rounds by itself.
    """
    rounds = Rounds(name, clock)
    is_over = False
    while not is_over:
        async with rounds:
            await run()
            is_over = True
