"""Read turns that wait in Postgres into memory when they can be used, and never the whole backlog.

Three loops, so that none waits for another: one reads the histories of turns that are about to run (histories.py), one
the next turns of sessions whose queue in memory ran dry, one the heads of claimed partitions (a page at a time, while
fewer sessions than READY_SESSIONS_MAX are ready). Each read is for many turns at once. A read that fails is repeated
until it succeeds; unless Postgres is away, with half as much, until the one session or head whose content is at fault
stands alone and is passed over.

A turn that is running in Postgres and in no worker's memory is taken up by whichever of these reads finds it first. No
read leaves it to another, which may have passed by already, or may have been told that the session is being read.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from itertools import groupby
from typing import Any, Final

from argosy.clock import Clock
from argosy.config import Settings
from argosy.rounds import Rounds
from argosy.store.fault import Fault, fault_of
from argosy.store.head import Head, Heads, LoadedTurn
from argosy.turn.status import ACTIVE, HELD, MAY_GO_ON, Status
from argosy.workers.dispatch.elsewhere import Elsewhere
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.scheduling.found_turn import goes_on, turn_of
from argosy.workers.dispatch.scheduling.histories import Histories
from argosy.workers.dispatch.scheduling.loading import AfterPaging
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Turn

_SESSIONS_PER_READ = 128  # both are halved by a read that fails, and doubled up to this by one that does not
_HEADS_PER_READ = 500
_RETRY_S = 0.5  # Postgres may be back at any moment
_CONTENT_FAILURES_MAX = 5  # then the turn comes without its history, to be parked
_BUSY_S = 0.01  # as long as one read takes


class Cursor:
    """How far the heads of a claimed partition have been read."""

    __slots__ = ("bucket", "owned", "session_id")

    def __init__(self, owned: Owned) -> None:
        self.owned = owned
        self.bucket = owned.first_bucket
        self.session_id = uuid.UUID(int=0)


class Pager:
    """The loops that page turns in; `run` goes on until cancelled.

    for_room: what waits for room in memory: heads of claimed partitions, and large histories. While all of it is empty
    and no session is to be paged in, `nudge` does nothing, and need not be called.
    """

    def __init__(
        self,
        heads: Heads,
        scheduler: Scheduler,
        histories: Histories,
        elsewhere: Elsewhere,
        clock: Clock,
        settings: Settings,
        then: AfterPaging,
    ) -> None:
        self._heads = heads
        self._scheduler = scheduler
        self._histories = histories
        self._clock = clock
        self._then = then
        self._limit = settings.look_ahead_turns + 1
        self._ready_max = settings.ready_sessions_max
        self._elsewhere = elsewhere
        self._cursors: deque[Cursor] = deque()
        self.for_room: Final = (self._cursors, histories.large)
        self._sessions_per_read, self._heads_per_read = _SESSIONS_PER_READ, _HEADS_PER_READ
        self._sessions_work = asyncio.Event()
        self._heads_work = asyncio.Event()
        # Turns that were held and may go on now, on their way into memory.
        self._taking_up: dict[uuid.UUID, tuple[Owned, Resume]] = {}

    def claimed(self, owned: list[Owned]) -> None:
        self._cursors.extend(Cursor(each) for each in owned)
        self._heads_work.set()

    def load(self, turn: Turn) -> None:
        """Read the turn's history and waiting signals, then tell that it is loaded."""
        self._histories.load(turn)

    def take_up(self, turn_id: uuid.UUID, owned: Owned, resume: Resume) -> Coroutine[Any, Any, None]:
        """Take up a turn that was held and may go on: `is_coming` from this call on, in memory once the returned
        coroutine has run.
        """
        self._taking_up[turn_id] = owned, resume
        return self._take_up(turn_id, owned, resume)

    def is_coming(self, turn_id: uuid.UUID) -> bool:
        """Whether a turn that was held is on its way into memory."""
        return turn_id in self._taking_up

    def is_taking_up(self, owned: Owned) -> bool:
        """Whether a turn of this partition that is to begin again is on its way into memory."""
        return any(each is owned and resume is not Resume.MOVED for each, resume in self._taking_up.values())

    async def _take_up(self, turn_id: uuid.UUID, owned: Owned, resume: Resume) -> None:
        failures = 0
        try:
            while not owned.is_void and turn_id not in self._scheduler.live:
                try:
                    with self._scheduler.reads.begin() as read:
                        row = await self._read_alone(turn_id, is_readable=failures < _CONTENT_FAILURES_MAX)
                    turn = None if row is None else turn_of(row, owned)
                except Exception as error:
                    if fault_of(error) is Fault.END or (is_content(error) and failures >= _CONTENT_FAILURES_MAX):
                        raise
                    failures += is_content(error)
                    await self._clock.sleep(_RETRY_S)
                    continue
                if turn_id in read.taken:
                    continue  # a signal was buffered meanwhile, and what was read may lack it
                if turn_id in read.left or turn_id in self._scheduler.live or row is None or turn is None:
                    return  # it ran or ended here meanwhile, or does not go on yet: what it waits for will wake it
                if row.lent_to is not None:
                    self._then.after_lent_head(row, owned)
                    return
                if turn.status is Status.QUEUED:  # others may stand before it: it comes in with its session, in order
                    self._scheduler.more(turn.session_id, turn.bucket, owned)
                    self.nudge()
                    return
                turn.resume_as(resume)
                if failures >= _CONTENT_FAILURES_MAX:
                    turn.require_load()
                if owned.is_void or self._scheduler.found(turn):
                    self._then.after_paging()
                    return
                await self._clock.sleep(_BUSY_S)  # its session is being paged in, which takes but a moment
        finally:
            if self._taking_up.get(turn_id) == (owned, resume):
                del self._taking_up[turn_id]

    async def _read_alone(self, turn_id: uuid.UUID, *, is_readable: bool) -> Head | LoadedTurn | None:
        """Read a turn that was held; None: it does not go on yet.

        A turn that is not readable comes without its history, and is parked when that is read again (histories.py).
        """
        if not is_readable:
            head = await self._heads.load_head(turn_id)
            return head if head is not None and Status(head.status) in MAY_GO_ON else None
        rows = await self._heads.load_turns([turn_id])
        return rows[0] if rows and goes_on(rows[0]) else None

    def has_unread(self, owned: Owned) -> bool:
        """Whether some heads of a claimed partition have not been read yet."""
        return any(cursor.owned is owned for cursor in self._cursors)

    def nudge(self) -> None:
        """Wake the loops that have something to read."""
        if self._scheduler.has_to_page:
            self._sessions_work.set()
        if self._cursors:
            self._heads_work.set()
        self._histories.nudge()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._histories.run())
            group.create_task(self._loop("sessions", self._sessions_work, self._read_sessions))
            group.create_task(self._loop("heads", self._heads_work, self._read_heads))

    async def _loop(self, name: str, work: asyncio.Event, read: Callable[[], Awaitable[bool]]) -> None:
        rounds = Rounds(name, self._clock)
        while True:
            await work.wait()
            work.clear()
            async with rounds:
                while await read():
                    pass
                continue
            work.set()  # the read failed, and its pause is over: try again

    async def _read_sessions(self) -> bool:
        sessions = self._scheduler.take_to_page(self._sessions_per_read)
        if not sessions:
            return False
        try:
            with self._scheduler.reads.begin() as read:
                opened = {each.owned for each in sessions if each.owned.is_open}
                keys = [(each.bucket, each.session_id) for each in sessions]
                rows = await self._heads.load_sessions(keys, self._limit)
        except Exception as error:
            is_at_fault = len(sessions) == 1 and is_content(error)
            for each in sessions:
                # One at fault leaves memory until something comes for its session.
                self._scheduler.paged(each, [], is_all=False, is_held=is_at_fault, is_stale=not is_at_fault)
            self._sessions_per_read = less(self._sessions_per_read, len(sessions), error)
            raise
        self._sessions_per_read = min(2 * self._sessions_per_read, _SESSIONS_PER_READ)
        found = {session_id: list(group) for session_id, group in groupby(rows, key=lambda row: row.session_id)}
        for each in sessions:
            mine = found.get(each.session_id, [])
            was_opened = each.owned.is_open and each.owned not in opened
            is_stale = was_opened or each.session_id in read.grown or any(row.turn_id in read.left for row in mine)
            is_held = bool(mine) and self._is_held_up(mine[0], each.owned)
            if mine and mine[0].lent_to is not None:
                is_held = True
                self._then.after_lent_head(mine[0], each.owned)
            turns = [self.turn_of(row, each.owned, read) for row in mine]
            self._scheduler.paged(each, turns, is_all=len(mine) < self._limit, is_held=is_held, is_stale=is_stale)
        self._then.after_paging()
        return True

    async def _read_heads(self) -> bool:
        while self._cursors and self._cursors[0].owned.is_void:
            self._cursors.popleft()
        if not self._cursors or self._scheduler.ready_count >= self._ready_max:
            return False
        cursor = self._cursors[0]
        owned = cursor.owned
        with self._scheduler.reads.begin() as read:
            limit = self._heads_per_read
            try:
                rows = await self._heads.load_heads(cursor.bucket, cursor.session_id, owned.last_bucket, limit)
            except Exception as error:
                self._heads_per_read = less(limit, limit, error)
                if limit == 1 and is_content(error):  # this one head cannot be read: go on with those behind it
                    self._pass_over(cursor)
                raise
        self._heads_per_read = min(2 * limit, _HEADS_PER_READ)
        if owned.is_void:
            return True
        for row in rows:
            status = Status(row.status)
            if row.session_id in read.left:  # a turn of it left memory while we read: the row may be older than that
                self._scheduler.more(row.session_id, row.bucket, owned)
                continue
            if row.lent_to is not None:
                self._then.after_lent_head(row, owned)
                continue
            is_known = row.turn_id in self._scheduler.live or self._comes_by_itself(row.turn_id)
            if status in ACTIVE and not is_known:
                self._scheduler.found(self.turn_of(row, owned, read))  # if False: the read of its session finds it
        if len(rows) < limit:
            self._cursors.popleft()
        else:
            cursor.bucket, cursor.session_id = rows[-1].bucket, rows[-1].session_id
        self.nudge()
        self._then.after_paging()
        return True

    def _pass_over(self, cursor: Cursor) -> None:
        """Skip the rest of a bucket, from the cursor on. Its sessions are read when something comes for them."""
        cursor.bucket, cursor.session_id = cursor.bucket + 1, uuid.UUID(int=0)
        if cursor.bucket > cursor.owned.last_bucket:
            self._cursors.popleft()

    def _comes_by_itself(self, turn_id: uuid.UUID) -> bool:
        """Whether a read must leave a turn alone: it is held or lent, or on its way into memory, its resume known."""
        return self.is_coming(turn_id) or self._elsewhere.has(turn_id)

    def _is_held_up(self, head: Head, owned: Owned) -> bool:
        """Whether nothing of a session may start, because its head rests or goes on elsewhere.

        A head that is running in Postgres and in no worker's memory does not hold its session up: the read that finds
        it takes it up, as after a claim.
        """
        if head.status == Status.RUNNING and owned.is_open and head.turn_id not in self._scheduler.live:
            return self._comes_by_itself(head.turn_id)
        return Status(head.status) in HELD or self._comes_by_itself(head.turn_id)

    def turn_of(self, row: Head, owned: Owned, read: Read) -> Turn:
        turn = turn_of(row, owned)
        if row.lent_as and row.lent_to is None:  # how it goes on after a loan that ended, with nothing written since
            turn.resume_as(Resume(row.lent_as))
        if row.has_rows or row.turn_id in read.taken:
            turn.require_load()
        return turn


def is_content(error: Exception) -> bool:
    """Whether the content of a read is at fault (or our code), so that the same read would fail again."""
    return fault_of(error) in (Fault.CONTENT, Fault.BUG)


def less(now: int, asked: int, error: Exception) -> int:
    """Return how many to read next, after an error of a read that asked for `asked`. now: how many without an error."""
    return now if fault_of(error) is Fault.AWAY else max(1, asked // 2)
