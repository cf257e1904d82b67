"""SQL has the words of the code: states of turns and types of events.

SQL cannot import them, and its partial indexes are used only where their list stands in the statement. So it has the
words themselves, and here they are compared: each one, and each list, is one that argosy/turn has a name for.
"""

import re
from collections.abc import Collection, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

import pytest

from argosy import store
from argosy.turn.events import SETTLED_OUTCOMES, STEP_EVENTS, Event
from argosy.turn.status import ACTIVE, ENDED, HELD, OPEN, RESTING, Status
from argosy.turn.transitions import reachable
from tests.store.hand import Hand

STORE: Final = Path(store.__file__).parent
FILES: Final = {each.name: each.read_text() for each in (*STORE.glob("*.sql"), *STORE.glob("functions/*"))}

WORDS: Final[dict[str, Collection[StrEnum]]] = {
    "status": Status,
    "old_status": Status,
    "type": Event,
}
# Named lists. The last one of states has no name in the code: a flush looks for no rows of a turn that ends like this.
LISTS: Final[dict[str, list[Collection[StrEnum]]]] = {
    "status": [OPEN, HELD, ENDED, ACTIVE, RESTING, {Status.COMPLETED, Status.FAILED}],
    "type": [STEP_EVENTS, SETTLED_OUTCOMES],
}
_COLUMN: Final = "|".join(WORDS)
_ONE: Final = re.compile(rf"\b({_COLUMN})\s*(?:=|<>)\s*'([^']*)'")
_LIST: Final = re.compile(rf"\b({_COLUMN})\s+(?:NOT\s+)?IN\s*\(\s*('[^)]*)\)")
_SHOWN_LIST: Final = re.compile(r"\(?(\w+)\)?(?:::text)? (?:= ANY|<> ALL) \(\(?ARRAY\[([^\]]*)\]")


def _literals(text: str) -> set[str]:
    return set(re.findall(r"'([^']*)'", text))


def _found(pattern: re.Pattern[str]) -> Iterator[tuple[str, str, set[str]]]:
    for file, text in FILES.items():
        for column, words in pattern.findall(re.sub(r"--[^\n]*", "", text)):
            yield file, column, _literals(words) or {words}


def test_each_word_of_sql_is_one_of_the_code() -> None:
    found = list(_found(_ONE))

    assert len(found) > 15
    assert [each for each in found if not each[2] <= set(WORDS[each[1]])] == []


def test_each_list_of_sql_has_a_name_in_the_code() -> None:
    found = list(_found(_LIST))

    assert len(found) > 15
    assert [each for each in found if each[2] not in LISTS[each[1]]] == []


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("turns_status_check", "status", [set(Status) - {Status.ACCEPTED}]),
        ("turns_check", "status", [ENDED]),
        ("turns_check1", "status", [{Status.MERGED, Status.DUPLICATE}]),
        ("turns_check2", "status", [HELD]),
        ("turns_held", "status", [HELD]),
        ("turns_open", "status", [OPEN]),
        ("events_once", "type", [SETTLED_OUTCOMES]),
    ],
)
async def test_each_list_of_the_schema_is_one_of_the_code(
    hand: Hand, name: str, column: str, expected: list[set[str]]
) -> None:
    rows = await hand.rows(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1"
        " UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'argosy' AND indexname = $1",
        name,
    )

    found = [(column, _literals(words)) for row in rows for column, words in _SHOWN_LIST.findall(row[0])]
    assert found == [(column, set(each)) for each in expected]


@pytest.mark.parametrize("before", sorted(set(Status) - {Status.ACCEPTED}))
async def test_the_database_knows_the_transitions_of_the_code(hand: Hand, before: Status) -> None:
    rows = await hand.rows(
        "SELECT after FROM unnest($1::text[]) AS after WHERE may_become($2, after)", list(Status), before
    )

    assert {row[0] for row in rows} == set(reachable(before))


async def test_the_database_knows_which_states_are_ends(hand: Hand) -> None:
    rows = await hand.rows("SELECT status FROM unnest($1::text[]) AS status WHERE has_ended(status)", list(Status))

    assert {row[0] for row in rows} == set(ENDED)
