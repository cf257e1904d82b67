"""Make turns in memory from rows that were read from Postgres."""

from argosy.store.head import Head, LoadedTurn
from argosy.turn.status import ACTIVE, Status
from argosy.turn.wait import is_one_over
from argosy.workers.dispatch import turn_times
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.turn import Turn


def goes_on(row: LoadedTurn) -> bool:
    """Whether a turn that was held may run now: it is queued or running, or is suspended and its wait is over.

    Signals and timers that came while it was held were buffered, and nothing else wakes the turn for them.
    """
    status = Status(row.status)
    if status is not Status.SUSPENDED:
        return status in ACTIVE
    names = {name for _, name, _ in row.signals}
    keys = {key for key, _, is_buffered, _ in row.timers if is_buffered}
    return is_one_over(row.waits, signals=names, timers=keys)


def may_have_killed(row: Head | LoadedTurn, owned: Owned) -> bool:
    """Whether nothing of a turn was written since an owner of its partition last died: this turn may have ended it."""
    return row.written_at_s < owned.crashed_at_s


def awaits_start(row: Head | LoadedTurn, owned: Owned) -> bool:
    """Whether the code of a turn may run only once its start is recorded.

    So for a turn that may have ended an owner, and for a borrowed one: its row alone says that it runs here.
    """
    return owned.is_lent or may_have_killed(row, owned)


def turn_of(row: Head | LoadedTurn, owned: Owned) -> Turn:
    """Make a turn in memory from a row of Postgres; complete when the row has its history."""
    turn = Turn(
        owned=owned,
        turn_id=row.turn_id,
        tenant=row.tenant,
        session_id=row.session_id,
        session_name=row.session,
        bucket=row.bucket,
        place=row.place or 0,
        workflow=row.workflow,
        priority=row.priority,
        input=row.input,
        status=Status(row.status),
        attempt=row.attempt,
        crashes=row.crashes,
        seq=row.seq,
        version=row.version,
        created_by=row.created_by,
    )
    turn.rest_since(row.written_at_s, row.due_s)
    turn.resume_as(owned.resume)
    turn.await_start(is_needed=awaits_start(row, owned))
    if turn.status is Status.RUNNING and turn.resume is Resume.UNHEARD and may_have_killed(row, owned):
        turn.resume_as(Resume.CRASHED)  # no owner began it again since that death: that crash counts
    if isinstance(row, LoadedTurn) and row.events is not None:
        fill(turn, row)
    return turn


def fill(turn: Turn, row: LoadedTurn) -> None:
    """Complete a turn in memory with everything that Postgres has of it.

    The turn is refused when the row's status, attempt and seq are not those that memory has.
    """
    if turn.has_ended:
        return
    if (turn.status, turn.attempt, turn.seq) != (row.status, row.attempt, row.seq):
        turn.refuse()
        return
    turn.fill(row)
    turn_times.found(turn, row)
    turn.await_start(is_needed=awaits_start(row, turn.owned))
