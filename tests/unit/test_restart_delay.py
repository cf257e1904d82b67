"""A child of `argosy up` that ends again and again is started more and more slowly; one that lived is forgiven."""

import pytest

from argosy.local.restart import restart_delay_s


@pytest.mark.parametrize(
    ("previous_s", "lived_s", "delay_s"),
    [
        (None, 0.1, 0.5),
        (0.5, 0.1, 1.0),
        (4.0, 59.9, 8.0),
        (8.0, 0.1, 10.0),
        (10.0, 0.1, 10.0),
        (10.0, 60.0, 0.5),
        (None, 86_400, 0.5),
    ],
)
def test_the_delay_doubles_until_a_child_has_lived_for_a_minute(
    previous_s: float | None, lived_s: float, delay_s: float
) -> None:
    assert restart_delay_s(previous_s, lived_s) == delay_s
