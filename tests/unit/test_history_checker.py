"""The checker that decides every crash test is itself shown to see each kind of harm, and to accept a clean run."""

from typing import Any

from tests.checker.history import violations
from tests.checker.seen import Effect, Event, History, Read, Request, SignalSent


def _story(*types: str, attempt: int = 1) -> tuple[Event, ...]:
    return tuple(Event(seq, attempt, kind, f"k{seq}") for seq, kind in enumerate(types, 1))


_DONE = _story("turn.started", "step.completed", "turn.completed")


def _clean(turns: int = 4, **changed: Any) -> History:
    """One session, one sequential client, one step a turn."""
    names = [f"t{n}" for n in range(turns)]
    clean = History(
        requests=tuple(Request("s", f"key-{n}", n, n + 0.5, 202, turn, 1) for n, turn in enumerate(names)),
        reads={turn: Read(turn, "s", "completed", _DONE) for turn in names},
        effects=tuple(Effect(2 * n + 1, 2 * n + 2, turn, "step", f"{turn}/step", "s") for n, turn in enumerate(names)),
    )
    return clean._replace(**changed)


def _only(history: History, words: str) -> None:
    found = violations(history)
    assert len(found) == 1, found
    assert words in found[0]


def test_a_clean_run_has_no_violations() -> None:
    assert violations(_clean()) == []


def test_a_turn_that_was_accepted_and_is_gone_is_lost() -> None:
    reads = dict(_clean().reads)
    del reads["t2"]
    effects = tuple(effect for effect in _clean().effects if effect.turn_id != "t2")
    _only(_clean(reads=reads, effects=effects), "I1 lost: turn t2")


def test_a_completed_turn_whose_step_never_reached_the_sink_is_seen() -> None:
    _only(_clean(effects=_clean().effects[1:]), "I3 effects: turn t0 completed with 0 of 1")


def test_an_effect_under_a_second_key_is_doubled_even_after_a_crash() -> None:
    second = Effect(20, 21, "t3", "step", "t3/step/again", "s")
    _only(_clean(effects=(*_clean().effects, second), disruptions=1), "I3 doubled: step step of turn t3")


def test_an_effect_repeated_under_its_key_is_allowed_only_after_a_disruption() -> None:
    effects = (*_clean().effects, Effect(20, 21, "t3", "step", "t3/step", "s"))
    _only(_clean(effects=effects), "I3 repeated: step step of turn t3")
    assert violations(_clean(effects=effects, disruptions=1)) == []


def test_a_failed_try_before_the_success_is_no_repetition() -> None:
    effects = (Effect(0, 0, "t0", "step", "t0/step", "s", succeeded=False), *_clean().effects)
    assert violations(_clean(effects=effects)) == []


def test_one_key_for_two_turns_is_seen() -> None:
    effects = list(_clean().effects)
    effects[1] = effects[1]._replace(idempotency_key="t0/step")
    _only(_clean(effects=tuple(effects)), "I3 shared: key t0/step")


def test_a_reordered_pair_is_seen() -> None:
    effects = list(_clean().effects)
    effects[1], effects[2] = effects[1]._replace(started=5, finished=6), effects[2]._replace(started=3, finished=4)
    _only(_clean(effects=tuple(effects)), "I2 reordered: in s turn t1")


def test_turns_sent_at_the_same_time_may_run_in_either_order() -> None:
    requests = tuple(request._replace(sent_s=0.0, answered_s=9.0) for request in _clean().requests)
    effects = list(_clean().effects)
    effects[1], effects[2] = effects[1]._replace(started=5, finished=6), effects[2]._replace(started=3, finished=4)
    assert violations(_clean(requests=requests, effects=tuple(effects))) == []


def test_two_turns_of_a_session_at_once_overlap() -> None:
    effects = list(_clean().effects)
    effects[0] = effects[0]._replace(finished=4)
    effects[1] = effects[1]._replace(started=3, finished=5)
    effects[2] = effects[2]._replace(started=6, finished=7)
    effects[3] = effects[3]._replace(started=8, finished=9)
    _only(_clean(effects=tuple(effects)), "I2 overlap: in s turn t1 began before turn t0")


def test_other_sessions_may_overlap() -> None:
    clean = _clean(2)
    requests = (clean.requests[0], clean.requests[1]._replace(session="other"))
    effects = (Effect(1, 4, "t0", "step", "t0/step", "s"), Effect(2, 3, "t1", "step", "t1/step", "other"))
    assert violations(clean._replace(requests=requests, effects=effects)) == []


def test_what_a_killed_process_left_open_at_the_sink_is_no_overlap() -> None:
    left_open = Effect(1, 99, "t0", "step", "t0/step", "s")
    effects = (left_open, *(e._replace(started=e.started + 1, finished=e.finished + 1) for e in _clean().effects))
    assert violations(_clean(effects=effects, disruptions=1)) == []


def test_a_gap_in_the_events_is_seen() -> None:
    reads = dict(_clean().reads)
    reads["t1"] = reads["t1"]._replace(events=(_DONE[0], _DONE[2]))
    _only(_clean(reads=reads), "I6 gap: events of turn t1 are numbered [1, 3]")


def test_a_turn_with_two_endings_is_seen() -> None:
    reads = dict(_clean().reads)
    events = _story("turn.started", "step.completed", "turn.cancelled", "turn.completed")
    reads["t1"] = reads["t1"]._replace(events=events)
    assert any("I5 endings: turn t1 ended 2 times" in found for found in violations(_clean(reads=reads)))


def test_an_event_after_the_end_is_seen() -> None:
    reads = dict(_clean().reads)
    reads["t1"] = reads["t1"]._replace(events=_story("turn.started", "turn.completed", "step.completed"))
    _only(_clean(reads=reads), "I5 after the end: turn t1")


def test_a_status_that_its_story_does_not_tell_is_seen() -> None:
    reads = dict(_clean().reads)
    reads["t1"] = reads["t1"]._replace(status="failed")
    _only(_clean(reads=reads), "I5 ending: turn t1 is failed and its story ends with turn.completed")


def test_an_outcome_recorded_twice_is_seen() -> None:
    reads = dict(_clean().reads)
    twice = (Event(1, 1, "turn.started"), Event(2, 1, "step.completed", "a"), Event(3, 1, "step.completed", "a"))
    reads["t1"] = reads["t1"]._replace(events=(*twice, Event(4, 1, "turn.completed")))
    _only(_clean(reads=reads), "I3 recorded twice: turn t1 has 2 outcomes of a")


def test_a_second_attempt_must_announce_itself() -> None:
    reads = dict(_clean().reads)
    silent = (Event(1, 1, "turn.started"), Event(2, 2, "step.completed", "a"), Event(3, 2, "turn.completed"))
    reads["t1"] = reads["t1"]._replace(events=silent)
    _only(_clean(reads=reads, disruptions=1), "I6 reset: attempt 2 of turn t1 begins with step.completed")
    told = (silent[0], Event(2, 2, "turn.reset"), Event(3, 2, "step.completed", "a"), Event(4, 2, "turn.completed"))
    reads["t1"] = reads["t1"]._replace(events=told)
    assert violations(_clean(reads=reads, disruptions=1)) == []


def test_an_attempt_that_shrinks_is_seen() -> None:
    reads = dict(_clean().reads)
    back = (Event(1, 1, "turn.started"), Event(2, 2, "turn.reset"), Event(3, 1, "turn.completed"))
    reads["t1"] = reads["t1"]._replace(events=back)
    _only(_clean(reads=reads), "I6 attempt: event 3 of turn t1")


def test_a_turn_that_runs_for_ever_is_stuck() -> None:
    reads = dict(_clean().reads)
    reads["t3"] = reads["t3"]._replace(status="running", events=_story("turn.started"))
    _only(_clean(reads=reads), "I9 stuck: turn t3 of s is running")


def test_a_turn_that_is_meant_to_wait_may_wait() -> None:
    reads = dict(_clean().reads)
    reads["t3"] = reads["t3"]._replace(status="suspended", events=_story("turn.started", "turn.suspended"))
    assert violations(_clean(reads=reads, waiting=frozenset({"t3"}))) == []


def test_repetitions_under_one_key_must_be_one_turn() -> None:
    again = Request("s", "key-0", 10, 11, 202, "copy", 1)
    requests = (*_clean().requests, again)
    reads = {**_clean().reads, "copy": _clean().reads["t0"]}
    assert violations(_clean(requests=requests, reads=reads)) == []
    reads["copy"] = Read("copy", "s", "completed", _DONE)
    effects = (*_clean().effects, Effect(30, 31, "copy", "step", "copy/step", "s"))
    _only(_clean(requests=requests, reads=reads, effects=effects), "I5 doubled: key key-0 of s became 2 turns")


def test_two_requests_without_a_common_key_must_not_become_one_turn() -> None:
    reads = {**_clean().reads, "t1": _clean().reads["t0"]}
    effects = tuple(effect for effect in _clean().effects if effect.turn_id != "t1")
    found = violations(_clean(reads=reads, effects=effects))
    assert any("I5 merged: turn t0 answers 2 different requests" in line for line in found), found


def test_a_turn_nobody_asked_for_is_a_ghost_unless_an_outcome_is_unknown() -> None:
    effects = (*_clean().effects, Effect(30, 31, "ghost", "step", "ghost/step", "s"))
    _only(_clean(effects=effects), "I1 ghost: 1 turns of s")
    requests = (*_clean().requests, Request("s", "", 10, 11, 504, None))
    assert violations(_clean(effects=effects, requests=requests)) == []


def _waiting_turn(status: str, *payloads: Any) -> History:
    events = [Event(1, 1, "turn.started")]
    for number, payload in enumerate(payloads):
        events.append(Event(len(events) + 1, 1, "wait.started", f"w{number}", {"kind": "signal", "name": "go"}))
        events.append(Event(len(events) + 1, 1, "wait.completed", f"w{number}", {"payload": payload}))
    if status == "suspended":
        events.append(Event(len(events) + 1, 1, "wait.started", "last", {"kind": "signal", "name": "go"}))
    else:
        events.append(Event(len(events) + 1, 1, "turn.completed"))
    return History(
        requests=(Request("s", "", 0, 1, 202, "t"),),
        reads={"t": Read("t", "s", status, tuple(events))},
        effects=(),
        waiting=frozenset({"t"}),
    )


def test_a_signal_sent_twice_under_one_request_id_arrives_once() -> None:
    sent = (SignalSent("t", "go", "r1", 1, 202), SignalSent("t", "go", "r1", 1, 202))
    assert violations(_waiting_turn("completed", 1)._replace(signals=sent)) == []
    _only(_waiting_turn("completed", 1, 1)._replace(signals=sent), "I7 doubled: turn t got signal go 1")


def test_a_signal_that_was_acknowledged_and_never_came_is_lost() -> None:
    sent = (SignalSent("t", "go", "r1", 1, 202),)
    _only(_waiting_turn("suspended")._replace(signals=sent), "I7 lost: turn t still waits")


def test_a_signal_for_another_turn_must_not_arrive_here() -> None:
    sent = (SignalSent("other", "go", "r1", 1, 202),)
    _only(_waiting_turn("completed", 1)._replace(signals=sent), "I7 doubled: turn t got signal go 1")


def test_ten_thousand_turns_of_one_session_are_checked_in_a_moment() -> None:
    assert violations(_clean(10_000)) == []


def _repeated(step: str, *attempts: int, number: int = 30) -> tuple[Effect, ...]:
    return tuple(
        Effect(number + 2 * n, number + 2 * n + 1, "t0", step, f"t0/{step}", "s", attempt=attempt)
        for n, attempt in enumerate(attempts)
    )


def _one_turn(*effects: Effect, **changed: Any) -> History:
    """One turn; its first step has begun and ended before these effects."""
    first = Effect(1, 2, "t0", "first", "t0/first", "s", attempt=1)
    return _clean(turns=1)._replace(requests=(), effects=(first, *effects), **changed)


def test_a_disruption_excuses_only_the_turns_that_it_may_have_hit() -> None:
    effects = _repeated("second", 1, 2)
    assert violations(_one_turn(*effects, disruptions=1, repeatable=frozenset({"t0"}))) == []
    _only(_one_turn(*effects, disruptions=1, repeatable=frozenset({"t1"})), "nothing had happened to it")


def test_a_step_that_runs_again_without_a_new_attempt_is_seen_unless_it_was_the_first() -> None:
    _only(_one_turn(*_repeated("second", 1, 1), disruptions=1), "I3 unannounced: step second of turn t0")
    assert violations(_one_turn(*_repeated("first", 1), disruptions=1)) == []


def test_a_step_that_runs_again_after_its_outcome_was_recorded_is_seen_unless_the_database_forgot() -> None:
    recorded = (Event(1, 1, "turn.started"), Event(2, 1, "step.completed", "second"), Event(3, 1, "turn.completed"))
    ran_again = _one_turn(
        *_repeated("second", 1, 2), disruptions=1, reads={"t0": Read("t0", "s", "completed", recorded)}
    )
    _only(ran_again, "I3 ran again: step second of turn t0 was recorded in attempt 1 and runs in attempt 2")
    assert violations(ran_again._replace(is_truth_old=True)) == []


def test_what_a_stopped_process_repeats_after_it_was_taken_over_is_no_overlap() -> None:
    """t0 was taken over (attempt 2) and ended, t1 ran, and then the first worker of t0 woke up."""
    taken_over = Effect(1, 2, "t0", "step", "t0/step", "s", attempt=2, pid=8)
    after = Effect(3, 4, "t1", "step", "t1/step", "s", attempt=1, pid=8)
    late = Effect(3, 5, "t0", "step", "t0/step", "s", attempt=1, pid=7)
    history = _clean(turns=2, effects=(taken_over, after, late), disruptions=1)
    assert violations(history) == []
    again = history._replace(effects=(taken_over, after, late._replace(attempt=2)))
    _only(again, "I2 overlap")
    assert violations(again._replace(stopped=frozenset({7}))) == []
