"""The rounds of a loop that must not end: an error of one is said, waited out, and forgotten with the next success.

What each error means stands in argosy/store/fault.py. Only Fault.END, and what is no Exception (a cancellation), leaves
the loop. A loop that fails again and again, and not because somebody is away, is named (`failing`).
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
_AWAY_S_MAX: Final = 0.5  # who is away may be back at any moment
_SAY_AGAIN_S: Final = 60.0  # the same error of the same place
_PLACES_MAX: Final = 100
_WORDS_MAX: Final = 2_000
_IN_A_ROW: Final = 12  # what is halved until what is at fault stands alone may fail almost as often, and is well then
_ROW_S: Final = 60.0  # after so long it is another row: of a loop that is only begun again nobody hears that it is well

# By identity, of this process: those that failed so often in a row.
_failing: "dict[int, weakref.ref[Rounds]]" = {}


def failing() -> str:
    """A loop of this process that keeps failing, and by what kind of error; empty when none does. From any thread."""
    found = (each() for each in tuple(_failing.values()))
    return next((f"{each.name} ({each.kind})" for each in found if each is not None and each.is_failing), "")


class Rounds:
    """`async with rounds:` around each round of one loop; a round that failed ends after a pause that grows."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.kind = ""  # of the last error, in a row of such
        self._clock = clock
        self._delay_s = 0.0
        self._failures = 0
        self._failed_at_s = float("-inf")
        self._said_at_s: dict[object, float] = {}
        self._gauge = telemetry.LOOP_FAILING.labels(loop=name)

    @property
    def delay_s(self) -> float:
        """How long the pause after the last failure is; 0: the last round was well."""
        return self._delay_s

    @property
    def is_failing(self) -> bool:
        """Whether it failed many times in a row until just now, and not because somebody is away."""
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
        """Say it, with what it is about, and let the next pause be longer. Returns what it means."""
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
        """Around what is done for one of many: its error is said, and keeps nothing from the others."""
        try:
            yield
        except Exception as error:
            if fault_of(error) is Fault.END:
                raise
            self.say(error, **what)

    def say(self, error: BaseException, **what: Any) -> Fault:
        """Say an error that is dealt with, with what it is about. Returns what it means."""
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
    """`run` as long as it goes on: begun again after every error that need not end the process. The net below loops,
    each of which outlives the errors of its rounds by itself.
    """
    rounds = Rounds(name, clock)
    is_over = False
    while not is_over:
        async with rounds:
            await run()
            is_over = True
