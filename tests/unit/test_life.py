"""Who lives, and what an operator is shown of a process: tables."""

import pytest

from argosy.life import LOCK_GRACE_S, is_alive, state_of


@pytest.mark.parametrize(
    ("lock_free_s", "heard_s", "server_up_s", "expected"),
    [
        (None, 0.5, 1000, True),
        (None, 11.0, 1000, False),  # it stopped: its lock is held, and it says nothing
        (0.0, 0.5, 1000, True),  # a connection that was cut comes back within the grace
        (LOCK_GRACE_S, 0.5, 1000, False),  # killed
        (60.0, 0.5, 3, True),  # Postgres has just been started: nobody's lock is there yet
        (60.0, 500.0, 3, True),  # and nobody could be heard before it was
        (60.0, 500.0, 9, False),
        (None, 500.0, 9, True),  # it holds its lock; its beats are counted from the start of the server
    ],
)
def test_who_holds_his_lock_and_was_heard_of_lives(
    lock_free_s: float | None, heard_s: float, server_up_s: float, expected: bool
) -> None:
    alive = is_alive(lock_free_s=lock_free_s, heard_s=heard_s, server_up_s=server_up_s, ttl_s=10.0)

    assert alive is expected


@pytest.mark.parametrize(
    ("holds_lock", "is_heard", "server_up_s", "state"),
    [
        (True, True, 99, "alive"),
        (True, False, 99, "silent"),
        (False, True, 99, "dead"),
        (False, False, 99, "dead"),
        (False, True, 1, "alive"),
        (False, False, 1, "dead"),
    ],
)
def test_what_the_signs_of_life_mean(holds_lock: bool, is_heard: bool, server_up_s: float, state: str) -> None:
    assert state_of(holds_lock=holds_lock, is_heard=is_heard, server_up_s=server_up_s) == state
