"""The rounds of a loop that must not end: an error of one is said, waited out, and forgotten with the next success.

What each error means stands in argosy/store/fault.py. Only Fault.END, and what is no Exception (a cancellation), leaves
the loop.
"""

import contextlib
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


class Rounds:
    """`async with rounds:` around each round of one loop; a round that failed ends after a pause that grows."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._delay_s = 0.0
        self._said_at_s: dict[object, float] = {}
        self._is_failing = telemetry.LOOP_FAILING.labels(loop=name)

    @property
    def delay_s(self) -> float:
        """How long the pause after the last failure is; 0: the last round was well."""
        return self._delay_s

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
            self._is_failing.set(0)

    def failed(self, error: Exception, **what: Any) -> Fault:
        """Say it, with what it is about, and let the next pause be longer. Returns what it means."""
        is_away = fault_of(error) is Fault.AWAY
        self._delay_s = min(max(_DELAY_S_MIN, self._delay_s * 2), _AWAY_S_MAX if is_away else _DELAY_S_MAX)
        self._is_failing.set(1)
        return self.say(error, **what)

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
        telemetry.LOOP_ERRORS.labels(loop=self._name, fault=fault.value).inc()
        words = f"{type(error).__name__}: {error}"
        if fault in (Fault.AWAY, Fault.SLOW):
            log.warning(telemetry.STORE_UNAVAILABLE, loop=self._name, error=words[:_WORDS_MAX], **what)
        elif self._is_news(error, what):
            log.error(
                telemetry.LOOP_ERROR,
                loop=self._name,
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
