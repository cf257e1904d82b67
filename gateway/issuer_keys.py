"""The keys of one issuer, as this process has them.

A request reads the keys in memory and never fetches. One task does: every 300 s or so, as the issuer's max-age says,
after a failure soon again, and at once when a token names a key that nobody knows, but then at most every 30 s. So a
flood of invented kids costs one fetch in 30 s, and no answer of an issuer, nor its silence, takes a good key away: only
a newer set does.
"""

import asyncio
import random
from collections import OrderedDict
from contextlib import suppress
from typing import Final, Protocol

from argosy import telemetry
from argosy.clock import Clock
from argosy.gateway.key_copy import KeyCopy
from argosy.gateway.key_fetch import Fetched, IssuerAwayError
from argosy.identity.signing_keys import SigningKey
from argosy.rounds import Rounds

log = telemetry.logger()

_REFRESH_S: Final = 300.0
_MAX_AGE_S: Final = (60.0, 3_600.0)
_RETRY_S: Final = (5.0, 300.0)
_ASKED_AGAIN_S: Final = 30.0
_WAIT_S: Final = 1.0  # a request waits no longer than this for keys
_UNKNOWN_S: Final = 60.0
_UNKNOWN_MAX: Final = 1_024


class Fetch(Protocol):
    async def fetch(self, etag: str) -> Fetched: ...

    async def close(self) -> None: ...


class IssuerKeys:
    """See above. Used from one event loop."""

    def __init__(self, issuer: str, fetch: Fetch, copy: KeyCopy, clock: Clock, *, stale_s_max: float) -> None:
        """copy: where the last good set is kept for a start while the issuer is away. stale_s_max: how old a set may
        be.
        """
        self._issuer = issuer
        self._fetch = fetch
        self._copy = copy
        self._clock = clock
        self._stale_s_max = stale_s_max
        self.keys: tuple[SigningKey, ...] = ()
        self._thumbprints: frozenset[bytes] = frozenset()
        self._rounds = Rounds("issuer_keys", clock)
        self._raw = b""
        self._etag = ""
        self._good_at_s: float | None = None
        self._tried_at_s = float("-inf")
        self._retry_s = 0.0
        self._due_at_s = float("-inf")
        self._asked = asyncio.Event()
        self._done = asyncio.Event()
        # Kids that were missing in a set that was fetched after somebody had asked for them; until when to believe it.
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    async def open(self, *, is_needed: bool) -> None:
        """Fetch, or else take the kept copy, and go on fetching. Raises IssuerAwayError when there is neither, and the
        keys are needed.
        """
        await self._try()
        if not self.keys and (kept := self._copy.read(self._stale_s_max)) is not None:
            self._take_set(kept.keys, kept.raw)
            self._good_at_s = self._clock.monotonic_s() - kept.age_s
        if not self.keys and is_needed:
            raise IssuerAwayError(f"the keys of {self._issuer} cannot be fetched, and no copy of them is kept")
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._fetch.close()

    @property
    def age_s(self) -> float:
        """Seconds since the issuer said the last time that these are its keys."""
        return float("inf") if self._good_at_s is None else self._clock.monotonic_s() - self._good_at_s

    @property
    def is_stale(self) -> bool:
        """Whether the keys are so old that nobody may rely on them."""
        return self.age_s > self._stale_s_max

    @property
    def is_missed(self) -> bool:
        """Whether the issuer did not answer, and its keys are more than half way to being stale."""
        return self._retry_s > 0 and self.age_s > self._stale_s_max / 2

    def has(self, thumbprint: bytes) -> bool:
        """Whether a key is one of the newest set that is known."""
        return thumbprint in self._thumbprints

    async def look_for(self, kid: str) -> None:
        """Return when a newer set is there, or after a second: the issuer is silent, or was asked a moment ago."""
        now_s = self._clock.monotonic_s()
        if self._unknown.get(kid, float("-inf")) > now_s:
            return
        self._asked.set()
        done = self._done
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_S):
                await done.wait()
        # Only a set that was fetched after the question shows that the issuer has no such key.
        is_newer = self._good_at_s is not None and self._good_at_s >= now_s
        if is_newer and not any(key.kid == kid for key in self.keys):
            self._note_unknown(kid, now_s)

    def _note_unknown(self, kid: str, now_s: float) -> None:
        self._unknown[kid] = now_s + _UNKNOWN_S
        if len(self._unknown) > _UNKNOWN_MAX:
            self._unknown.popitem(last=False)

    async def _run(self) -> None:
        while True:
            async with self._rounds:
                await self._wait_until_due()
                await self._try()

    async def _wait_until_due(self) -> None:
        while (wait_s := self._due_at_s - self._clock.monotonic_s()) > 0:
            asked = asyncio.ensure_future(self._asked.wait())
            slept = asyncio.ensure_future(self._clock.sleep(wait_s))
            try:
                await asyncio.wait({asked, slept}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                asked.cancel()
                slept.cancel()
            if self._asked.is_set():
                self._due_at_s = min(self._due_at_s, self._tried_at_s + _ASKED_AGAIN_S)
                if self._due_at_s > self._clock.monotonic_s():
                    await self._clock.sleep(self._due_at_s - self._clock.monotonic_s())

    async def _try(self) -> None:
        self._asked.clear()
        began_s = self._tried_at_s = self._clock.monotonic_s()
        try:
            fetched = await self._fetch.fetch(self._etag)
        except IssuerAwayError as error:
            low_s, high_s = _RETRY_S
            self._retry_s = min(max(low_s, self._retry_s * 2), high_s)
            self._due_at_s = began_s + self._retry_s
            log.warning(telemetry.ISSUER_AWAY, issuer=self._issuer, error=str(error)[:500], age_s=round(self.age_s, 1))
        else:
            self._take(fetched, began_s)
        finally:
            done, self._done = self._done, asyncio.Event()
            done.set()

    def _take(self, fetched: Fetched, began_s: float) -> None:
        low_s, high_s = _MAX_AGE_S
        hold_s = _REFRESH_S if fetched.max_age_s is None else min(max(fetched.max_age_s, low_s), high_s)
        self._retry_s = 0.0
        self._due_at_s = began_s + hold_s * random.uniform(0.9, 1.1)
        self._good_at_s = began_s
        self._etag = fetched.etag
        if fetched.keys is not None:
            self._take_set(fetched.keys, fetched.raw)
        self._copy.write(self._raw)

    def _take_set(self, keys: tuple[SigningKey, ...], raw: bytes) -> None:
        if raw != self._raw:
            self.keys, self._raw = keys, raw
            self._thumbprints = frozenset(key.thumbprint for key in keys)
            log.info(telemetry.ISSUER_KEYS_CHANGED, issuer=self._issuer, keys=len(keys))
