"""Every state of a turn has an explanation, and the right one."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from argosy.gateway.explain import verdict, verdict_of_accepted
from argosy.gateway.verdict import Verdict
from argosy.gateway.views import Wait
from argosy.store.turn import PartitionFacts, TurnFacts
from argosy.turn.status import Status
from argosy.turn.trial import Kind, Trial, encode
from argosy.turn.wait import WrittenWait
from argosy.turn.wait import encode as encode_waits

ME, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOON = NOW + timedelta(seconds=90)


def facts(status: str, **changes: Any) -> TurnFacts:
    base: dict[str, Any] = {
        "at": NOW, "status": status, "place": 5, "attempt": 1, "crashes": 0, "reason": None,
        "not_before": None, "waits": None, "is_workflow_known": True,
        "workflow": "echo", "parked": None, "head_turn_id": ME, "head_status": status, "turns_ahead": 0,
        "workers_alive": 2, "owner": OTHER, "is_owner_alive": True, "next_timer_at": None, "undelivered": None,
        "runner": None, "runner_until": None, "trial": None, "signals": [],
        "version": "1", "lent_to": None, "is_borrower_alive": False, "is_owner_able": True, "able": [],
        "lacking_since": NOW,
    }  # fmt: skip
    return TurnFacts(**(base | changes))


SIGNAL = Wait(key="w", kind="signal", name="approve", due_at=SOON)
SLEEP = Wait(key="w", kind="sleep", due_at=SOON)
RETRY = Wait(key="w", kind="retry", due_at=SOON)
FOR_SHARD = Wait(key="2/graph:write#3~1", kind="retry", name="shard-7", due_at=SOON)
UNUSABLE = b'{"type":"GraphUnusableError","message":"no file","attempts":1,"delay_s":1,"away":true%b}'
FAILED = b'{"type":"OSError","message":"no","attempts":2,"delay_s":1}'
AGAIN = encode_waits([WrittenWait(key="look~3", kind="retry"), WrittenWait(key="2/graph:write#3~1", kind="retry")])
PARKED = b'{"reason":"poison","message":"it crashed"}'
NOBODY = {"workers_alive": 0}
ACCUSED = {"attempt": 4, "crashes": 3}
AT_S = NOW.timestamp()
WAITS = encode(Trial(Kind.WAITS, 4, AT_S, 25, behind=2, until_s=SOON.timestamp()))
WAITS_ALONE = encode(Trial(Kind.WAITS, 4, AT_S, 1, behind=1, until_s=SOON.timestamp()))
WAITS_FOR_TRIAL = encode(Trial(Kind.WAITS, 4, AT_S, behind=1, until_s=SOON.timestamp()))
TRIED = encode(Trial(Kind.TRIED, 4, AT_S, 25, watch_s=10.0))
TRIED_ALONE = encode(Trial(Kind.TRIED, 4, AT_S, 1, watch_s=10.0))
TRIED_BEFORE = encode(Trial(Kind.TRIED, 3, AT_S, 25, watch_s=10.0))
HANDED = {"runner": f"{OTHER}/77", "runner_until": SOON}
SIGNALLED = {"undelivered": ["signal"]}
UNABLE = {"is_owner_able": False}
LENT = {"lent_to": ME, "is_borrower_alive": True}
LENT_TO_DEAD = {"lent_to": ME}
BEHIND = {"head_turn_id": OTHER, "head_status": "suspended", "turns_ahead": 3}

TABLE: list[tuple[str, TurnFacts, list[Wait], str, str]] = [
    ("next in its session", facts("queued"), [], "waiting_for_slot", "slot"),
    ("behind another turn", facts("queued", **BEHIND), [], "behind_turn", str(OTHER)),
    ("behind another, nobody alive", facts("queued", **BEHIND, **NOBODY), [], "no_worker", str(OTHER)),
    ("delayed", facts("queued", place=None, not_before=SOON), [], "not_due", "2026-01-01T00:01:30Z"),
    ("delayed, nobody there", facts("queued", place=None, not_before=SOON, **NOBODY), [], "no_worker", "delayed"),
    ("nobody alive", facts("queued", **NOBODY), [], "no_worker", "No worker"),
    ("its owner is dead", facts("queued", is_owner_alive=False), [], "no_owner", "partition"),
    ("nobody has its workflow", facts("queued", is_workflow_known=False), [], "unknown_workflow", "'echo'"),
    ("running", facts("running"), [], "running", "attempt 1"),
    ("nobody has its build", facts("queued", **UNABLE), [], "waiting_for_build", "'echo' version '1' (since 2026"),
    ("its build is elsewhere", facts("queued", **UNABLE, able=[ME]), [], "waiting_for_build", f"worker {ME} has it"),
    ("it is lent", facts("running", **UNABLE, **LENT), [], "running_elsewhere", f"at worker {ME}"),
    ("its borrower died", facts("running", **UNABLE, **LENT_TO_DEAD), [], "waiting_for_build", "No living worker"),
    ("no build for its signal", facts("suspended", **UNABLE, **SIGNALLED), [SIGNAL], "waiting_for_build", "'echo'"),
    ("no build, and nothing came", facts("suspended", **UNABLE), [SIGNAL], "waiting_for_signal", "approve"),
    ("resumed, no build", facts("parked", **UNABLE, undelivered=["resume"]), [], "waiting_for_build", "'echo'"),
    ("running at a dead owner", facts("running", is_owner_alive=False), [], "no_owner", "running"),
    ("waits for its group", facts("running", **ACCUSED, trial=WAITS), [], "waiting_for_trial", "2 groups before it"),
    ("waits for its group, until", facts("running", **ACCUSED, trial=WAITS), [], "waiting_for_trial", "01:30Z"),
    ("waits for its trial", facts("running", **ACCUSED, trial=WAITS_ALONE), [], "waiting_for_trial", "by itself"),
    ("waits for others' trial", facts("running", attempt=4, crashes=2, trial=WAITS_FOR_TRIAL), [],
     "waiting_for_trial", "on trial now"),
    ("waits, nobody alive", facts("running", **ACCUSED, trial=WAITS, **NOBODY), [], "no_worker", "3 crashes"),
    ("on trial", facts("running", **ACCUSED, trial=TRIED), [], "on_trial", "group of 25"),
    ("on trial, until", facts("running", **ACCUSED, trial=TRIED), [], "on_trial", "2026-01-01T00:00:10Z"),
    ("on trial by itself", facts("running", **ACCUSED, trial=TRIED_ALONE), [], "on_trial", "by itself"),
    ("on trial long ago", facts("running", **ACCUSED, trial=TRIED_BEFORE), [], "running", "attempt 4"),
    ("on trial and forgiven", facts("running", attempt=4, trial=TRIED), [], "running", "attempt 4"),
    ("tried by a later version", facts("running", **ACCUSED, trial=b'{"kind":"new"}'), [], "running", "attempt 4"),
    ("handed over in a step", facts("running", **HANDED), [], "handing_over", f"{OTHER}, which owned"),
    ("handed over in a step, until when", facts("running", **HANDED), [], "handing_over", "2026-01-01T00:01:30Z"),
    ("handed over, nobody alive", facts("running", **HANDED, **NOBODY), [], "no_worker", "still runs"),
    ("no thread is free", facts("running", threads_abandoned=0), [], "waiting_for_thread", "waits for a thread"),
    ("abandoned calls", facts("running", threads_abandoned=40), [], "waiting_for_thread", "40 are held by calls"),
    ("no thread, dead owner", facts("running", threads_abandoned=0, is_owner_alive=False), [], "no_owner", "thread"),
    ("waiting for a signal", facts("suspended"), [SIGNAL], "waiting_for_signal", "'approve', until 2026"),
    ("no signal, nobody alive", facts("suspended", **NOBODY), [SIGNAL], "waiting_for_signal", "approve"),
    ("its signal is here", facts("suspended", **SIGNALLED), [SIGNAL], "resuming", "signal"),
    ("its signal is here, nobody alive", facts("suspended", **SIGNALLED, **NOBODY), [SIGNAL], "no_worker", "signal"),
    ("sleeping", facts("suspended"), [SLEEP], "sleeping", "2026-01-01T00:01:30Z"),
    ("sleeping without a written end", facts("suspended", next_timer_at=SOON), [], "sleeping", "2026-01-01T00:01:30Z"),
    ("sleeping, nobody alive", facts("suspended", **NOBODY), [SLEEP], "no_worker", "sleeps"),
    ("waiting for a retry", facts("suspended"), [RETRY], "waiting_for_retry", "tried again"),
    ("waiting for a shard", facts("suspended"), [RETRY, FOR_SHARD], "waiting_for_shard", "until shard shard-7 answers"),
    ("waiting for a shard, nobody alive", facts("suspended", **NOBODY), [FOR_SHARD], "no_worker", "shard-7"),
    ("for an operator", facts("suspended", waits=AGAIN, retrying=[("look", UNUSABLE % b"")]), [RETRY],
     "waiting_for_operator", "no file"),
    ("for an operator and a shard", facts("suspended", waits=AGAIN, retrying=[("look", UNUSABLE % b"")]),
     [RETRY, FOR_SHARD], "waiting_for_operator", "no file"),
    ("for an operator, in private", facts("suspended", waits=AGAIN, retrying=[("look", UNUSABLE % b',"private":true')]),
     [RETRY], "waiting_for_operator", "or does not have it"),
    ("for an operator before", facts("suspended", waits=AGAIN, retrying=[("look", FAILED), ("look", UNUSABLE % b"")]),
     [RETRY], "waiting_for_retry", "tried again"),
    ("another step for an operator", facts("suspended", waits=AGAIN, retrying=[("read", UNUSABLE % b"")]), [RETRY],
     "waiting_for_retry", "tried again"),
    ("parked", facts("parked", reason="poison", parked=PARKED), [], "parked", "it crashed"),
    ("parked without an event", facts("parked", reason="poison"), [], "parked", "poison"),
    ("parked and resumed", facts("parked", reason="poison", undelivered=["resume"]), [], "resuming", "resume"),
    ("rejected", facts("rejected", reason="busy"), [], "ended", "busy"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("turn_facts", "waits", "code", "why"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_turn_is_explained(turn_facts: TurnFacts, waits: list[Wait], code: str, why: str) -> None:
    explained = verdict(turn_facts, ME, waits)

    assert explained.code == code
    assert why in explained.why
    assert explained.what_to_do


def test_a_turn_that_tries_a_step_again_says_where_it_stands_why() -> None:
    assert "step.retrying" in verdict(facts("suspended"), ME, [RETRY]).what_to_do


def test_a_dead_owners_turn_says_that_it_is_adopted_only_where_somebody_can() -> None:
    adopted = verdict(facts("running", is_owner_alive=False), ME, [])
    alone = verdict(facts("running", is_owner_alive=False, **NOBODY), ME, [])

    assert "takes its partition over" in adopted.what_to_do
    assert "Start a worker" in alone.what_to_do


def test_turns_that_are_parked_alike_are_said_to_be_resumed_together() -> None:
    to_do = verdict(facts("parked", reason="history_mismatch"), ME, []).what_to_do

    assert f"`argosy turn resume {ME}`" in to_do
    assert "`argosy turn resume --all --reason history_mismatch`" in to_do


@pytest.mark.parametrize("reason", ["graph_mismatch", "uncertain_effect"])
def test_turns_that_need_a_decision_each_are_not_said_to_be_resumed_together(reason: str) -> None:
    to_do = verdict(facts("parked", reason=reason), ME, []).what_to_do

    assert "--all" not in to_do
    assert "turns:resume" not in to_do
    assert f"`argosy turn resume {ME}` (POST /v1/turns/{ME}/resume)" in to_do
    assert "POST …/cancel ends it" in to_do


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.ACCEPTED])
def test_every_status_has_an_explanation(status: Status) -> None:
    assert isinstance(verdict(facts(status), ME, []), Verdict)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "in_log"),
        ({"workers_alive": 0}, "no_worker"),
        ({"is_owner_alive": False}, "no_owner"),
        ({"accepted_through": None}, "in_log"),
        ({"replaced_at": NOW + timedelta(seconds=1), "replaced": "words"}, "log_replaced"),
        ({"replaced_at": NOW - timedelta(seconds=1), "replaced": "words"}, "in_log"),
    ],
)
def test_a_turn_that_is_only_in_the_log_is_explained(changes: dict[str, Any], code: str) -> None:
    base = PartitionFacts(
        at=NOW,
        accepted_through=NOW - timedelta(seconds=3),
        workers_alive=1,
        is_owner_alive=True,
        replaced_at=None,
        replaced=None,
    )

    explained = verdict_of_accepted(base._replace(**changes), NOW)

    assert explained.code == code
    assert explained.details["behind_s"] == (None if changes.get("accepted_through", 1) is None else 3.0)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({}, "to_be_started"), ({"workers_alive": 0}, "no_worker"), ({"is_owner_alive": False}, "no_owner")],
)
def test_a_turn_that_another_turn_started_is_explained(changes: dict[str, Any], code: str) -> None:
    base = PartitionFacts(
        at=NOW,
        accepted_through=NOW,
        workers_alive=1,
        is_owner_alive=True,
        replaced_at=NOW,
        replaced="words",
        started_at=NOW,
    )

    explained = verdict_of_accepted(base._replace(**changes), NOW - timedelta(seconds=3))

    assert explained.code == code
    assert "Another turn started it" in explained.why
    assert explained.details["started_at"] == NOW


def test_signals_that_were_not_taken_are_named_with_every_answer() -> None:
    unread = [("unread", f"s{number}", 1) for number in range(7)]

    waiting = verdict(facts("suspended", signals=[("unread", "other", 3)]), ME, [SIGNAL])
    ended = verdict(facts("completed", signals=[("late", "go", 1), ("unread", "x", 1)]), ME, [])
    many = verdict(facts("parked", signals=unread), ME, [])

    assert (waiting.code, waiting.details["signals"]) == ("waiting_for_signal", {"unread": {"other": 3}})
    assert waiting.why.endswith("It has not taken the signal 'other' (3).")
    assert ended.why.endswith("It has not taken the signal 'x'. It ended without the signal 'go'.")
    assert many.why.endswith("It has not taken the signals 's0', 's1', 's2', 's3', 's4' and 2 more.")
    assert "signals" not in verdict(facts("completed"), ME, []).details
