"""Append turns to the log, and answer for each. This path writes nothing else (I1).

| the log says   | the answer                                        |
|----------------|---------------------------------------------------|
| appended       | 202                                               |
| not appended   | 503 log_unavailable: certainly not accepted       |
| unknown        | 504 outcome_unknown: repeat it with the same key  |

The gateway first looks an idempotency key up in Postgres, for GATEWAY_KEY_LOOKUP_S at the most. Without an answer, the
owner of the session finds repetitions when it accepts them, and their ids resolve to the first turn all the same.
"""

import asyncio
from collections import Counter
from typing import Final, NamedTuple

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import StoreUnavailableError
from argosy.gateway.catalog import Catalog
from argosy.gateway.log_monitor import LogMonitor
from argosy.gateway.poking import Poking
from argosy.gateway.problems import RETRY_AFTER_S, Problem
from argosy.gateway.turn_request import Admitted
from argosy.log import Appended, LogWriter, Outcome
from argosy.seal.codec import Sealer
from argosy.store.pool import Pool
from argosy.store.turn import find_turns_by_key

LOOKUP_PAUSE_S: Final = 1.0  # after a look-up that failed: not every keyed turn must wait for a dead Postgres

_COUNTED: Final = {outcome: telemetry.APPENDS.labels(outcome=outcome.value) for outcome in Outcome}


class Accepted(NamedTuple):
    """A turn that is answered 202. is_known: the id is that of an earlier turn with the same key."""

    turn_id: str
    is_known: bool = False


class Enqueue:
    """Appends admitted turns. Used from one event loop."""

    def __init__(
        self,
        settings: Settings,
        writer: LogWriter,
        log_monitor: LogMonitor,
        pool: Pool,
        catalog: Catalog,
        poking: Poking,
        clock: Clock,
    ) -> None:
        self._lane = settings.lane
        self._lag_s_max = settings.gateway_lag_max_s
        self._lookup_s = settings.gateway_key_lookup_s
        self._append_timeout_s = settings.log_append_timeout_s
        self._needs_wake = settings.log_backend == "postgres"
        self._writer = writer
        self._log_monitor = log_monitor
        self._pool = pool
        self._catalog = catalog
        self._poking = poking
        self._clock = clock
        self._no_lookup_until_s = 0.0

    async def check_log(self) -> None:
        """Check that turns may be appended now.

        Raises Problem when the lane's workers read another log, or when the log or accepting from it is more than
        GATEWAY_LAG_MAX_S behind.
        """
        if self._log_monitor.reason:
            raise Problem("log_unavailable", self._log_monitor.reason, retry_after_s=RETRY_AFTER_S)
        if self._lag_s_max and await self._writer.backlog_age_s() > self._lag_s_max:
            detail = f"the log has not answered for more than {self._lag_s_max} s"
            raise Problem("log_unavailable", detail, retry_after_s=RETRY_AFTER_S)
        if self._lag_s_max and self._catalog.accept_lag_s > self._lag_s_max:
            detail = f"accepting is more than {self._lag_s_max} s behind: what is posted now would wait for long"
            raise Problem("log_unavailable", detail, retry_after_s=RETRY_AFTER_S)

    async def check_workflow(self, name: str, asked_s: float) -> None:
        """Check that the lane has a workflow of this name.

        Raises Problem when it has none, or when Postgres cannot be asked. asked_s: when the request came, by the clock;
        requests of one moment share one read.
        """
        if self._catalog.has_workflow(name):
            return
        await self._catalog.look_for(name, asked_s)
        if self._catalog.has_workflow(name):
            return
        if not self._catalog.is_newer_than(asked_s):
            detail = f"the workflow {name!r} is not among the known ones, and Postgres cannot be asked for newer ones"
            raise Problem("store_unavailable", detail, retry_after_s=RETRY_AFTER_S)
        raise Problem("unknown_workflow", f"{name!r} is not among the {self._catalog.workflow_count} known workflows")

    async def sealer(self, tenant: str) -> Sealer | None:
        """Return who seals what the tenant posts; None when nobody does. Raises StoreUnavailableError when this process
        knows no key of the tenant, and Postgres cannot be asked.
        """
        seals = self._pool.seals
        return (await seals.sealers((tenant,))).get(tenant) if seals.is_on else None

    async def enqueue(self, tenant: str, turns: list[Admitted]) -> list[Accepted | Problem]:
        """Append turns and return the answer to each, in order. A turn that fails has a Problem, and raises nothing."""
        known = await self._known(tenant, turns)
        fresh = turns if not known else [turn for index, turn in enumerate(turns) if index not in known]
        if not fresh:
            return [known[index] for index in range(len(turns))]
        began_s = self._clock.monotonic_s()
        appended = await self._writer.append([turn.entry for turn in fresh])
        telemetry.APPEND_S.took(self._clock.monotonic_s() - began_s)
        answers = [self._answer(turn, one) for turn, one in zip(fresh, appended, strict=True)]
        for outcome, count in Counter(one.outcome for one in appended).items():
            _COUNTED[outcome].inc(count)
        if self._needs_wake:
            self._poking.new_records({turn.entry.partition for turn in fresh})
        if not known:
            return answers
        rest = iter(answers)
        return [known[index] if index in known else next(rest) for index in range(len(turns))]

    def _answer(self, turn: Admitted, appended: Appended) -> Accepted | Problem:
        if appended.outcome is Outcome.APPENDED:
            return Accepted(str(turn.turn_id))
        if appended.outcome is Outcome.NOT_APPENDED:
            return Problem("log_unavailable", appended.reason or "refused", retry_after_s=RETRY_AFTER_S)
        return Problem(
            "outcome_unknown",
            f"the log did not answer within {self._append_timeout_s:g} s: {appended.reason or 'no reason given'}",
            retry_after_s=RETRY_AFTER_S,
            turn_id=str(turn.turn_id),
        )

    async def _known(self, tenant: str, turns: list[Admitted]) -> dict[int, Accepted | Problem]:
        """Return the answers to turns whose key was used before, by index; none without Postgres in time."""
        keyed = [index for index, turn in enumerate(turns) if turn.key]
        now_s = self._clock.monotonic_s()
        if not keyed or now_s < self._no_lookup_until_s:
            return {}
        try:
            async with asyncio.timeout(self._lookup_s):
                found = await find_turns_by_key(
                    self._pool,
                    [turns[index].session_id for index in keyed],
                    [turns[index].key for index in keyed],
                    tenant,
                    self._lane,
                )
        except (StoreUnavailableError, TimeoutError):
            self._no_lookup_until_s = now_s + LOOKUP_PAUSE_S
            return {}
        results: dict[int, Accepted | Problem] = {}
        for one in found:
            index = keyed[one.asked]
            if one.digest in (turns[index].digest, turns[index].plain_digest):
                results[index] = Accepted(str(one.turn_id), is_known=True)
            else:
                detail = f"the key belongs to turn {one.turn_id}, which was asked for something else"
                results[index] = Problem("idempotency_mismatch", detail, turn_id=str(one.turn_id))
        return results
