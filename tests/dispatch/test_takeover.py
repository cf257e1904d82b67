"""What is held for steps that run elsewhere, at moments that are hard to bring about with real servers."""

import asyncio
import uuid
from collections.abc import Callable, Sequence

import pytest

from argosy import Context, step
from argosy.clock import Clock, SystemClock
from argosy.rounds import failing
from argosy.store.head import Head, LoadedTurn
from argosy.store.partition import Claimed, Note, Partitions
from argosy.turn.status import Status
from argosy.workers.dispatch.elsewhere import Elsewhere
from argosy.workers.dispatch.owned import Resume
from argosy.workers.dispatch.ownership.changes import NewClaim
from argosy.workers.dispatch.ownership.takeover import Takeover, resumes_as
from tests.dispatch.joined_parts import Parts, arguments_of, catalog, due_row, loaded, make_owned, until
from tests.dispatch.known_workers_stub import KnownWorkersStub
from tests.dispatch.said import Said, settings_of
from tests.harness.hand_clock import HandClock

FORMER, OLDER, TURN = (uuid.UUID(int=number) for number in (1, 2, 3))
RUNNER = f"{OLDER}/5"
CLAIM = Claimed(7, FORMER, 6)
STARTED = [(1, 1, "turn.started", "", b"{}")]


class Notes(Partitions):
    """The notes that lie in Postgres."""

    def __init__(self, *notes: Note) -> None:
        self.all = list(notes)

    async def notes(self, partitions: Sequence[int]) -> list[Note]:
        return list(self.all)

    async def crashes(self, partitions: Sequence[int], dead: Sequence[int]) -> dict[int, float]:
        return {}


def takeover_of(
    notes: Notes,
    living: set[uuid.UUID],
    said: Said,
    bound_s: float = 60.0,
    *,
    clock: Clock | None = None,
    is_living: Callable[[uuid.UUID], bool] | None = None,
) -> Takeover:
    settings = settings_of(handover_note_s=60.0, handover_s=bound_s, cancel_cleanup_s=1.0)
    fleet = KnownWorkersStub(is_living or living.__contains__)
    return Takeover(notes, fleet, Elsewhere(), clock or SystemClock(), settings, said)


@pytest.mark.parametrize(
    ("note", "runner", "resume"),
    [
        (Note(0, 6, True, []), f"{FORMER}/6", Resume.MOVED),
        (Note(0, 6, True, []), RUNNER, Resume.MOVED),
        (Note(0, 6, False, []), f"{FORMER}/6", Resume.MOVED),
        (Note(0, 6, False, []), RUNNER, Resume.CRASHED),
        (Note(0, 5, True, []), RUNNER, Resume.CRASHED),
    ],
)
def test_who_may_go_on_with_the_same_attempt(note: Note, runner: str, resume: Resume) -> None:
    assert resumes_as(note, runner, CLAIM, Resume.CRASHED) is resume


async def test_what_the_last_owner_may_have_taken_up_before_it_died_begins_again() -> None:
    said = Said()
    owned = make_owned()
    takeover = takeover_of(Notes(Note(0, 5, True, [(TURN, RUNNER)])), {OLDER}, said)
    takeover.begin([NewClaim(owned, CLAIM)])
    await takeover.look_for_notes()

    assert takeover.has_doubts(owned)
    takeover.said(TURN, RUNNER)

    assert [each.resume for each in said.of("after_release")] == [Resume.CRASHED]


async def test_a_worker_that_never_opens_what_it_claimed_says_so_though_it_looks_after_what_is_held() -> None:
    named: list[str] = []

    def is_living(_: uuid.UUID) -> bool:
        named.append(failing())
        if len(named) > 12:
            raise asyncio.CancelledError
        raise KeyError("nobody thought of it")

    takeover = takeover_of(Notes(), set(), Said(), clock=HandClock(), is_living=is_living)
    takeover.begin([NewClaim(make_owned(), CLAIM)])

    with pytest.raises(asyncio.CancelledError):
        await takeover.run()

    assert named == [""] * 12 + ["takeover (KeyError)"]


@pytest.mark.parametrize("how", ["died", "is_late"])
async def test_what_was_held_of_a_lost_partition_is_in_its_note_whatever_its_runner_does(how: str) -> None:
    said = Said()
    living = {FORMER}
    owned = make_owned()
    note = Note(0, 6, True, [(TURN, f"{FORMER}/6")])
    takeover = takeover_of(Notes(note), living, said, bound_s=0.0 if how == "is_late" else 60.0)
    takeover.begin([NewClaim(owned, CLAIM)])
    await takeover.look_for_notes()
    owned.is_void = True  # its own note waits for a flush to be answered
    if how == "died":
        living.clear()

    await takeover.look_after_held()

    assert takeover.forget(owned) == [(TURN, f"{FORMER}/6")]
    assert not said.of("after_release")


async def test_what_a_former_owner_left_is_passed_on_though_the_partition_was_lost_and_claimed_again_before() -> None:
    lost, anew = make_owned(), make_owned()
    notes, me = Notes(), uuid.uuid4()
    takeover = takeover_of(notes, {FORMER, me}, Said())
    takeover.begin([NewClaim(lost, CLAIM)])
    lost.is_void = True
    takeover.begin([NewClaim(anew, Claimed(8, me, 7))])
    known = asyncio.create_task(takeover.until_known(lost))
    await takeover.look_for_notes()
    assert not known.done()

    notes.all = [Note(0, 6, True, [(TURN, f"{FORMER}/6")])]
    await takeover.look_for_notes()
    await known

    assert lost.resume is Resume.MOVED
    assert takeover.forget(lost) == [(TURN, f"{FORMER}/6")]


async def test_a_turn_on_its_way_into_memory_is_not_paged_in_as_if_it_had_been_handed_over() -> None:
    """Its runner died: it begins again, whoever reads its session first."""
    async with Parts(catalog()) as parts:
        owned = parts.owned[0]
        owned.resume = Resume.MOVED
        turn_id, session_id = uuid.uuid4(), uuid.uuid4()
        parts.heads.turns[turn_id] = loaded(turn_id, session_id, status="running", attempt=1, seq=2, version="1")

        async def load_sessions(*_: object) -> list[Head]:
            return [Head(turn_id, "a", session_id, "s", 0, 1, "echo", "1", "running", 1, 0, 2, 0, b"1", False)]

        parts.heads.load_sessions = load_sessions
        on_its_way = parts.pager.take_up(turn_id, owned, Resume.UNHEARD)
        parts.scheduler.more(session_id, 0, owned)  # a delayed turn of the session got its place
        await parts.pager._read_sessions()
        parts.admission.drain()
        await on_its_way

        await until(lambda: turn_id in parts.scheduler.live)
        assert parts.scheduler.live[turn_id].resume is Resume.UNHEARD


@pytest.mark.parametrize("is_written", [False, True], ids=["in flight", "written"])
async def test_a_turn_whose_deadline_passes_while_it_is_read_to_go_on_is_not_run(is_written: bool) -> None:
    """Its runner said that it is done, and the deadline was taken beside the read."""
    ran = []

    async def says(context: object) -> None:
        ran.append(context)

    async with Parts(catalog(says, "echo")) as parts:
        row = loaded(uuid.uuid4(), status="running", attempt=1, seq=2, version="1")
        parts.heads.due = [due_row(row, uuid.uuid4(), "timer", "deadline")]
        answered = asyncio.Event()
        if not is_written:
            parts.stream.before = answered.wait

        async def load_turns(_: object) -> list[LoadedTurn]:
            await parts.inbox.look()
            if is_written:
                await until(lambda: parts.stream.calls and row.turn_id not in parts.scheduler.live)
            return [row]

        parts.heads.load_turns = load_turns
        await parts.pager.take_up(row.turn_id, parts.owned[0], Resume.UNHEARD)
        await asyncio.sleep(0.05)
        answered.set()
        await until(lambda: parts.stream.calls and row.turn_id not in parts.scheduler.live)

        assert not ran
        assert [status for call in parts.stream.calls for status in arguments_of(call)["u_status"]] == [Status.EXPIRED]
        assert parts.admission.running == 0


async def test_a_turn_that_is_cancelled_while_it_is_read_to_go_on_hears_it_once_it_is_read() -> None:
    """Its code has begun elsewhere, and may have something to clean up."""
    heard: list[None] = []
    began: list[str] = []

    @step
    async def hold() -> None:
        began.append("hold")

    @step
    async def undo() -> None:
        began.append("undo")

    async def holds(context: Context) -> None:
        try:
            await context.run(hold)
        except asyncio.CancelledError:
            heard.append(None)
            await context.run(undo)
            raise

    async with Parts(catalog(holds, "echo")) as parts:
        row = loaded(uuid.uuid4(), status="running", attempt=1, seq=1, version="1", events=STARTED)
        parts.heads.due = [due_row(row, uuid.uuid4(), "cancel")]

        async def load_turns(_: object) -> list[LoadedTurn]:
            await parts.inbox.look()
            return [row]

        parts.heads.load_turns = load_turns
        await parts.pager.take_up(row.turn_id, parts.owned[0], Resume.UNHEARD)
        await parts.inbox.look()
        await until(lambda: parts.stream.calls and row.turn_id not in parts.scheduler.live)

        assert (heard, began) == ([None], ["undo"])
        assert list(arguments_of(parts.stream.calls[-1])["u_status"]) == [Status.CANCELLED]
        assert parts.admission.running == 0
