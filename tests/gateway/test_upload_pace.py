"""Uploads have a part of a gateway's time, together, and no more."""

from argosy.gateway.ingest.pace import Pace


class _Clock:
    """Stands still but for who sleeps. rests_s: how long each one slept. rests: whether time passes meanwhile; else
    others work then.
    """

    def __init__(self, *, rests: bool = True) -> None:
        self.now_s = 100.0
        self._rests = rests
        self.rests_s: list[float] = []

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_ms(self) -> int:
        return int(self.now_s * 1_000)

    async def sleep(self, delay_s: float) -> None:
        self.rests_s.append(delay_s)
        self.now_s += delay_s if self._rests else 0


async def _work(pace: Pace, clock: _Clock, worked_s: float) -> None:
    clock.now_s += worked_s
    await pace.rest(worked_s)


async def test_half_of_the_time_is_left_to_others() -> None:
    clock = _Clock()
    pace = Pace(0.5, clock)

    for _ in range(100):
        await _work(pace, clock, 0.002)

    assert round(sum(clock.rests_s), 6) == 0.2
    assert round(clock.now_s - 100, 6) == 0.4


async def test_an_upload_rests_for_the_work_of_another_one_too() -> None:
    clock = _Clock(rests=False)
    pace = Pace(0.25, clock)

    await _work(pace, clock, 0.001)
    await _work(pace, clock, 0.001)  # of the other one, while the first rests

    assert [round(rest_s, 6) for rest_s in clock.rests_s] == [0.003, 0.006]


async def test_what_a_timer_cannot_measure_is_rested_later_and_not_forgotten() -> None:
    clock = _Clock()
    pace = Pace(0.5, clock)

    for _ in range(4):
        await _work(pace, clock, 0.0006)

    assert clock.rests_s[0] == 0
    assert any(rest_s >= 0.001 for rest_s in clock.rests_s)


async def test_uploads_that_may_have_all_of_the_time_only_let_others_go_first() -> None:
    clock = _Clock()
    pace = Pace(1.0, clock)

    await _work(pace, clock, 5.0)

    assert clock.rests_s == [0]


async def test_a_pause_is_not_saved_up() -> None:
    clock = _Clock()
    pace = Pace(0.5, clock)
    await _work(pace, clock, 0.01)

    clock.now_s += 60.0
    await _work(pace, clock, 0.01)

    assert round(clock.rests_s[-1], 6) == 0.01
