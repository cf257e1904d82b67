"""A generator of random numbers that gives one number, over and over."""

from random import Random


class FixedRandom(Random):
    """Gives `number`, which is in [0, 1], whenever it is asked."""

    def __init__(self, number: float) -> None:
        super().__init__(number)
        self._number = number

    def random(self) -> float:
        return self._number
