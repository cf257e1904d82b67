"""A turn in a worker's memory has the principal of its record, or of its row, whichever way it came there."""

import uuid
from typing import Any

import pytest

from argosy import config, ids, record
from argosy.errors import InvalidRecordError, NoRightError
from argosy.identity.scopes import Scope
from argosy.identity.turn_principal import LOCAL
from argosy.log import Record
from argosy.record import TurnRequested
from argosy.store.start import StartRow
from argosy.workers.dispatch.accept.accept_arrays import AcceptArrays
from argosy.workers.dispatch.execution.around import Around, lane_graphs
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.found_turn import fill, turn_of
from tests.dispatch.joined_parts import loaded, make_owned, make_turn
from tests.harness.memory_graphs import MemoryGraphs

TENANT, LANE = "acme", "default"
USER = b'{"kind":"token","id":"somebody","scopes":["turns:write"]}'
BROKEN = b'{"kind":"token"}'


def asked(created_by: bytes) -> TurnRequested:
    turn_id = ids.TurnIdMint(TENANT, LANE).mint(ids.bucket_of(ids.session_id_of(TENANT, LANE, "s")))
    return TurnRequested(turn_id.bytes, TENANT, LANE, "s", "echo", b"{}", created_by=created_by)


def arrays() -> tuple[AcceptArrays, Owned]:
    return AcceptArrays(LANE, "log", 100), Owned(0, 1, (0, 1023))


@pytest.mark.parametrize(
    ("claimed", "is_proved", "expected"),
    [(USER, True, USER), (USER, False, None), (LOCAL, True, LOCAL), (LOCAL, False, LOCAL), (b"", True, None),
     (BROKEN, False, None)],
)  # fmt: skip
def test_what_a_record_claims_is_believed_where_it_was_proved(
    claimed: bytes, is_proved: bool, expected: bytes | None
) -> None:
    made, owned = arrays()
    each = Record(0, 0, None, record.encode(asked(claimed)), (), is_proved=is_proved)

    assert made.add(owned, each, 1).created_by == expected


def test_a_record_that_is_proved_and_claims_what_cannot_be_read_is_kept_aside() -> None:
    made, owned = arrays()

    with pytest.raises(InvalidRecordError, match="principal"):
        made.add(owned, Record(0, 0, None, record.encode(asked(BROKEN)), (), is_proved=True), 1)


@pytest.mark.parametrize("parents", [USER, None])
def test_a_turn_that_another_turn_started_has_what_its_row_says(parents: bytes | None) -> None:
    made, owned = arrays()
    start = asked(LOCAL)
    session_id = ids.session_id_of(TENANT, LANE, "s")
    row = StartRow(
        uuid.UUID(bytes=start.turn_id), ids.bucket_of(session_id), TENANT, session_id, record.encode(start), parents
    )

    assert made.add_start(owned, row, 1).created_by == parents


def test_a_turn_that_is_read_from_postgres_has_what_is_there() -> None:
    owned, turn = make_owned(), make_turn(make_owned())
    row = loaded(turn.turn_id, turn.session_id, created_by=USER)

    fill(turn, row)

    assert turn.created_by == turn_of(row, owned).created_by == USER


@pytest.mark.parametrize(("is_enforced", "is_refused"), [(True, True), (False, False)])
async def test_the_setting_is_that_of_the_worker(is_enforced: bool, is_refused: bool) -> None:
    settings = config.load({}, log_records="signing", turn_rights_enforced=is_enforced)
    nothing: Any = None
    around = Around(nothing, nothing, nothing, nothing, LANE, lane_graphs(MemoryGraphs(), None, settings))
    turn = turn_of(loaded(make_turn(make_owned()).turn_id, created_by=USER), make_owned())

    graphs = around.graphs_of(turn)

    assert (graphs.session, graphs.who and graphs.who.id) == ("s", "somebody")
    if is_refused:
        with pytest.raises(NoRightError, match="graphs:write"):
            graphs.need(Scope.GRAPHS_WRITE, None)
    else:
        graphs.need(Scope.GRAPHS_WRITE, None)
