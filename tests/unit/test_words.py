"""The console, the views of a gateway and the checker have the words of argosy/turn.

JavaScript cannot import them; the checker must not, for it judges the code. Both are compared with them here.
"""

import json
import re
from pathlib import Path
from typing import Final

from argosy.turn.events import (
    ENDINGS,
    SETTLED_OUTCOMES,
    STATUS_AFTER,
    STEP_EVENTS,
    STEP_STATUS_AFTER,
    WAIT_STATUS_AFTER,
    Event,
)
from argosy.turn.status import ENDED, Status
from tests.checker.history import ENDING_EVENT, SETTLED

CONSOLE: Final = Path(__file__).parents[2] / "gateway" / "console"


def _text_of(file: str, name: str) -> str:
    """What stands between the outermost brackets of a constant of the console."""
    found = re.search(rf"const {name} = (?:new Set\()?([\[{{].*?[\]}}])\)?;", (CONSOLE / file).read_text(), re.S)
    assert found is not None, f"{file} has no {name}"
    return found[1]


def _words(file: str, name: str) -> set[str]:
    return set(json.loads(re.sub(r",\s*\]$", "]", _text_of(file, name))))


def _table(file: str, name: str) -> dict[str, str]:
    members = re.findall(r'(?:"([^"]+)"|(\w+)): "([\w ]+)"', _text_of(file, name))
    return {key or word: value for key, word, value in members}


def test_the_console_knows_which_events_are_ends() -> None:
    assert _words("turn_model.js", "ENDINGS") == set(ENDINGS)
    assert {each: each.removeprefix("turn.") for each in ENDINGS} == ENDINGS  # turn_model.js does so


def test_the_console_knows_the_state_after_each_event() -> None:
    assert _table("turn_model.js", "STATUS") == {
        key: value for key, value in STATUS_AFTER.items() if key not in ENDINGS
    }


def test_the_console_knows_the_states_of_turns() -> None:
    assert _words("status.js", "ENDED") == ENDED
    assert set(Status) <= _table("status.js", "TONES").keys()


def test_a_step_and_a_wait_have_a_state_after_each_of_their_events() -> None:
    assert STEP_STATUS_AFTER.keys() == STEP_EVENTS
    assert WAIT_STATUS_AFTER.keys() == {each for each in Event if each.startswith("wait.")}


def test_the_console_knows_the_state_of_a_step_and_of_a_wait_after_each_event() -> None:
    named = {each: each.removeprefix("wait.") for each in WAIT_STATUS_AFTER}
    console = _table("turn_model.js", "WAIT_STATUS")

    assert {
        each: each.removeprefix("step.") for each in STEP_STATUS_AFTER
    } == STEP_STATUS_AFTER  # turn_model.js does so
    assert console.keys() <= set(named.values())
    assert {each: console.get(name, name) for each, name in named.items()} == WAIT_STATUS_AFTER
    assert {*STEP_STATUS_AFTER.values(), *WAIT_STATUS_AFTER.values()} <= _table("status.js", "TONES").keys()


def test_the_checker_knows_which_events_are_ends_and_which_are_recorded_once() -> None:
    assert {event: status for status, event in ENDING_EVENT.items()} == ENDINGS
    assert SETTLED == SETTLED_OUTCOMES
