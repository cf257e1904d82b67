"""Why a turn is not running: a pure decision over facts, so that a table of cases can test every answer.

Promise (I5): every turn has ended, or its explanation names what it waits for and what can be done about it.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from argosy.gateway.retries import verdict_of_retries
from argosy.gateway.verdict import Verdict, text_of
from argosy.gateway.views import Wait, cancelling_until
from argosy.store.turn import PartitionFacts, TurnFacts
from argosy.turn import trial
from argosy.turn.inbox import RowKind
from argosy.turn.status import ENDED, Status
from argosy.turn.trial import Kind
from argosy.turn.wait import WaitKind
from argosy.workflow.replay import DECIDED_EACH


class Explanation(msgspec.Struct, kw_only=True):
    """Why a turn is not running. code is stable; why is for people; details are the facts that decided."""

    turn_id: uuid.UUID
    status: str
    code: str
    why: str
    what_to_do: str
    details: dict[str, Any]


class Parked(msgspec.Struct):
    """The data of a turn.parked event."""

    reason: str = ""
    message: str = ""


_NAMES_SHOWN = 5
START_A_WORKER = "Start a worker for this lane (`argosy worker dispatch`)."
ADOPTION = "Nothing: a living worker takes its partition over, within a second of its owner's death."


def verdict_of_accepted(facts: PartitionFacts, minted_at: datetime) -> Verdict:
    """Return the verdict on a turn that has no row yet: it is in the log, or another turn started it."""
    if facts.started_at is not None:
        return _to_be_started(facts, facts.started_at)
    through = facts.accepted_through
    lag_s = None if through is None else max(0.0, (minted_at - through).total_seconds())
    details = {"accepted_through": through, "behind_s": lag_s, "workers_alive": facts.workers_alive}
    if facts.replaced_at is not None and minted_at < facts.replaced_at:
        why = f"The log was replaced, or lost records, after it was accepted, and it may be gone: {facts.replaced}."
        return Verdict("log_replaced", why, "Send it again with the same idempotency key: it runs once.", details)
    if facts.workers_alive == 0:
        return Verdict("no_worker", "It is in the log, and no worker of its lane is alive.", START_A_WORKER, details)
    if not facts.is_owner_alive:
        why = "It is in the log, and no living worker owns its partition yet."
        return Verdict("no_owner", why, ADOPTION, details)
    return Verdict("in_log", "It is in the log, and its worker has not read that far yet.", details=details)


def _to_be_started(facts: PartitionFacts, started_at: datetime) -> Verdict:
    details = {"started_at": started_at, "workers_alive": facts.workers_alive}
    if facts.workers_alive == 0:
        why = "Another turn started it, and no worker of its lane is alive."
        return Verdict("no_worker", why, START_A_WORKER, details)
    if not facts.is_owner_alive:
        why = "Another turn started it, and no living worker owns its partition yet."
        return Verdict("no_owner", why, ADOPTION, details)
    return Verdict("to_be_started", "Another turn started it, and its worker has not accepted it yet.", details=details)


def verdict(facts: TurnFacts, turn_id: uuid.UUID, waits: list[Wait]) -> Verdict:
    """Return the verdict on a turn that has a row, with signals that it did not take. Every status has a verdict."""
    found = _verdict(facts, turn_id, waits)
    if not facts.signals:
        return found
    signals = {
        state: {name: count for each, name, count in facts.signals if each == state} for state, _, _ in facts.signals
    }
    why = found.why
    if unread := signals.get("unread"):
        why += f" It has not taken {_listed(unread)}."
    if late := signals.get("late"):
        why += f" It ended without {_listed(late)}."
    return found._replace(why=why, details=found.details | {"signals": signals})


def _listed(signals: dict[str, int]) -> str:
    """Return a few of the names, each with its count, and how many more names there are."""
    names = [f"{name!r} ({count})" if count > 1 else repr(name) for name, count in signals.items()]
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"the signal{'s' if len(names) > 1 else ''} {', '.join(names[:_NAMES_SHOWN])}{more}"


def _verdict(facts: TurnFacts, turn_id: uuid.UUID, waits: list[Wait]) -> Verdict:
    status = Status(facts.status)
    if status in ENDED:
        return _ended(facts, status)
    if status is Status.PARKED:
        return _parked(facts, turn_id)
    if status is Status.QUEUED and facts.place is None:
        why = f"It is delayed until {text_of(facts.not_before or facts.next_timer_at)}."
        return _unless_nobody_works(facts, Verdict("not_due", why, details={"not_before": facts.not_before}))
    if status is Status.QUEUED and facts.head_turn_id not in (None, turn_id):
        return _behind(facts)
    if status is Status.QUEUED:
        return _head(facts)
    if status is Status.SUSPENDED:
        return _suspended(facts, waits, turn_id)
    if facts.runner is not None:
        return _unless_nobody_works(facts, _handing_over(facts, facts.runner))
    if not facts.is_owner_able:
        return _elsewhere(facts)
    if (until := cancelling_until(facts.cancelling)) is not None:
        return _unless_nobody_works(facts, _cleaning_up(facts, until))
    if (found := _tried(facts)) is not None:
        return _unless_nobody_works(facts, found)
    if facts.threads_abandoned is not None:
        return _unless_nobody_works(facts, _waiting_for_thread(facts, facts.threads_abandoned))
    return _unless_nobody_works(facts, Verdict("running", f"It is running: attempt {facts.attempt}."))


def _cleaning_up(facts: TurnFacts, until: datetime) -> Verdict:
    """Return the verdict on a running turn whose code was told of a cancel."""
    why = f"It was cancelled, and its code cleans up (attempt {facts.attempt}), until {text_of(until)} at the most."
    return Verdict("cancelling", why, "Nothing: it ends then, done or not.", {"until": until})


def _waiting_for_thread(facts: TurnFacts, abandoned: int) -> Verdict:
    """Return the verdict on a turn whose synchronous code could run, but every thread of its worker is taken."""
    why = f"It is running (attempt {facts.attempt}), and its synchronous code waits for a thread of its worker."
    to_do = "Nothing: it goes on when a thread is free. More of them: DISPATCH_THREADS."
    if abandoned:
        why += f" {abandoned} are held by calls that were given up after a time-out or a cancellation and go on."
        to_do = (
            "Give what blocks a time-out of its own; a restart of the worker ends such calls (log: thread.abandoned)."
        )
    return Verdict("waiting_for_thread", why, to_do, {"threads_abandoned": abandoned})


def _tried(facts: TurnFacts) -> Verdict | None:
    """Return the verdict on a suspect while it waits for its trial or is on trial, else None."""
    known = trial.decode(facts.trial)
    if known is None or not facts.crashes or known.attempt != facts.attempt:
        return None
    accused = f"It was running in {facts.crashes} crashes of workers without recording what a step came to in between"
    details = {"crashes": facts.crashes, "group_size": known.size, "groups_before": known.behind}
    if known.kind is Kind.WAITS:
        until = _at(known.until_s)
        if not known.size:
            goes_on = "when the turns that are on trial now are told apart from it"
        elif known.size == 1:
            goes_on = f"by itself, after {_groups(known.behind)} before it"
        else:
            goes_on = f"in a group of at most {known.size}, after {_groups(known.behind)} before it"
        why = f"{accused}, so it may be what ends them: it goes on {goes_on}, by {text_of(until)} if those end none."
        to_do = "Nothing: the innocent go on, and what ends workers is parked. To end it now: POST …/cancel."
        return Verdict("waiting_for_trial", why, to_do, details | {"since": _at(known.at_s), "until": until})
    if known.kind is Kind.TRIED:
        until = _at(known.at_s + known.watch_s)
        company = "by itself" if known.size == 1 else f"in a group of {known.size}"
        why = f"{accused}: it runs on trial, {company}, watched until {text_of(until)} at the most."
        to_do = "Nothing: a turn that records what a step came to, or lives through its trial, is free again."
        return Verdict("on_trial", why, to_do, details | {"since": _at(known.at_s), "until": until})
    return None


def _groups(count: int) -> str:
    return "1 group" if count == 1 else f"{count} groups"


def _at(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def _elsewhere(facts: TurnFacts) -> Verdict:
    """Return the verdict on a turn whose owner lacks its workflow, or the version with which the turn began."""
    what = f"the workflow {facts.workflow!r}" + (f" version {facts.version!r}" if facts.version else "")
    details = {
        "workflow": facts.workflow,
        "version": facts.version,
        "able_workers": facts.able,
        "lacking_since": facts.lacking_since,
        "runner": facts.lent_to,
    }
    if facts.lent_to is not None and facts.is_borrower_alive:
        why = f"It runs, or will, at worker {facts.lent_to}, which has {what}; its owner {facts.owner} does not."
        return Verdict("running_elsewhere", why, details=details)
    if facts.able:
        why = f"Its owner {facts.owner} does not have {what}; worker {facts.able[0]} has it, and gets it at once."
        return _unless_nobody_works(facts, Verdict("waiting_for_build", why, details=details))
    since = text_of(facts.lacking_since)
    why = f"No living worker of its lane has {what} (since {since}). It waits, and is parked after BUILD_WAIT_S."
    to_do = "Start a worker that has it (`argosy worker dispatch --workflows …`), or cancel the turn."
    return _unless_nobody_works(facts, Verdict("waiting_for_build", why, to_do, details))


def _handing_over(facts: TurnFacts, runner: str) -> Verdict:
    """Return the verdict on a turn whose partition changed its owner while a step of the turn ran."""
    worker_id = runner.partition("/")[0]
    until = text_of(facts.runner_until)
    why = f"A step of it still runs at worker {worker_id}, which owned its partition before: until {until} at the most."
    to_do = "Nothing: it goes on at its new owner when that step ends."
    return Verdict("handing_over", why, to_do, {"runner": worker_id, "until": facts.runner_until})


def _unless_nobody_works(facts: TurnFacts, otherwise: Verdict) -> Verdict:
    """Return `otherwise`, unless no worker or no owner is alive: that stops every turn, so it is named first."""
    details = otherwise.details | {"workers_alive": facts.workers_alive, "owner": facts.owner}
    if facts.workers_alive == 0:
        return Verdict("no_worker", f"No worker of its lane is alive. {otherwise.why}", START_A_WORKER, details)
    if not facts.is_owner_alive:
        why = f"No living worker owns its partition. {otherwise.why}"
        return Verdict("no_owner", why, ADOPTION, details)
    return otherwise


def _behind(facts: TurnFacts) -> Verdict:
    why = f"It waits for turn {facts.head_turn_id} of its session, which is {facts.head_status}."
    to_do = f"See why that one does not end: GET /v1/turns/{facts.head_turn_id}/explain"
    details = {"behind": facts.head_turn_id, "behind_status": facts.head_status, "turns_ahead": facts.turns_ahead}
    return _unless_nobody_works(facts, Verdict("behind_turn", why, to_do, details))


def _head(facts: TurnFacts) -> Verdict:
    if not facts.is_workflow_known:
        why = f"It is next, and no worker has registered the workflow {facts.workflow!r}."
        to_do = "Start a worker that has it, or cancel the turn."
        return Verdict("unknown_workflow", why, to_do, {"workflow": facts.workflow})
    if not facts.is_owner_able:
        return _elsewhere(facts)
    return _unless_nobody_works(facts, Verdict("waiting_for_slot", "It is next in its session and waits for a slot."))


def _suspended(facts: TurnFacts, waits: list[Wait], turn_id: uuid.UUID) -> Verdict:
    details = {"waits": waits, "undelivered": facts.undelivered or [], "next_timer_at": facts.next_timer_at}
    if (facts.undelivered or (facts.next_timer_at and facts.next_timer_at <= facts.at)) and not facts.is_owner_able:
        return _elsewhere(facts)
    if facts.undelivered:
        why = f"What it waits for may be here ({', '.join(facts.undelivered)}): its worker has not taken it yet."
        return _unless_nobody_works(facts, Verdict("resuming", why, details=details))
    signals = [wait for wait in waits if wait.kind == WaitKind.SIGNAL]
    if signals:
        names = ", ".join(repr(wait.name) for wait in signals)
        why = f"It waits for the signal {names}{_until(signals[0].due_at)}."
        to_do = f"POST /v1/turns/{turn_id}/signals/{signals[0].name}"
        return Verdict("waiting_for_signal", why, to_do, details)
    until = min((wait.due_at for wait in waits if wait.due_at), default=facts.next_timer_at)
    if (found := verdict_of_retries(facts, waits, until, turn_id)) is not None:
        return _unless_nobody_works(facts, found._replace(details=details))
    return _unless_nobody_works(facts, Verdict("sleeping", f"It sleeps until {text_of(until)}.", details=details))


def _parked(facts: TurnFacts, turn_id: uuid.UUID) -> Verdict:
    parked = msgspec.json.decode(facts.parked, type=Parked) if facts.parked else Parked()
    reason = facts.reason or parked.reason or "unknown"
    why = f"It is parked ({reason}){': ' + parked.message if parked.message else '.'}"
    details = {"reason": reason, "message": parked.message, "crashes": facts.crashes}
    if RowKind.RESUME in (facts.undelivered or ()) and not facts.is_owner_able:
        return _elsewhere(facts)
    if facts.undelivered:
        return _unless_nobody_works(
            facts, Verdict("resuming", f"{why} A {facts.undelivered[0]} is on its way.", details=details)
        )
    return Verdict("parked", why, _after_park(reason, turn_id), details)


def _after_park(reason: str, turn_id: uuid.UUID) -> str:
    """Say how a parked turn runs on: with all like it, unless each needs a decision of its own."""
    resume = f"then run it on: `argosy turn resume {turn_id}` (POST /v1/turns/{turn_id}/resume)"
    end = "POST …/cancel ends it; it holds its session until then."
    if reason in DECIDED_EACH:
        return f"Look what it has done before, {resume}. Decide each such turn by itself. {end}"
    cause = "Start a worker that has its build" if reason == "no_build" else "Mend the cause"
    same = f"`argosy turn resume --all --reason {reason}` (POST /v1/turns:resume?reason={reason})"
    return f"{cause}, {resume}, or all like it: {same}. {end}"


def _ended(facts: TurnFacts, status: Status) -> Verdict:
    details = {"reason": facts.reason} if facts.reason else {}
    why = f"It has ended: {status}{f' ({facts.reason})' if facts.reason else ''}."
    return Verdict("ended", why, "Nothing: an ended turn never changes.", details)


def _until(moment: datetime | None) -> str:
    return f", until {text_of(moment)} at the latest" if moment else ""
