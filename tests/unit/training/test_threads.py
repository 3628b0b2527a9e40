"""The thread chooser keeps what was fastest and looks again later."""

from training.threads import ThreadChooser


class Machine:
    """A clock that a step advances by what it takes with the threads in use."""

    def __init__(self) -> None:
        self.now = 0.0
        self.cost = {1: 1.0, 2: 0.6}
        self.threads = 0

    def clock(self) -> float:
        return self.now

    def apply(self, count: int) -> None:
        self.threads = count

    def run(self, chooser: ThreadChooser, steps: int) -> list[int]:
        used = []
        for _ in range(steps):
            used.append(chooser.before_step())
            assert self.threads == used[-1]
            self.now += self.cost[used[-1]]
        return used


def test_the_fastest_count_is_kept_until_the_next_trial() -> None:
    machine = Machine()
    chooser = ThreadChooser((2, 1), trial=2, period=6, apply=machine.apply, clock=machine.clock)
    assert machine.run(chooser, 10) == [2, 2, 1, 1, 2, 2, 2, 2, 2, 2]
    machine.cost[2] = 3.0
    assert machine.run(chooser, 10) == [2, 2, 1, 1, 1, 1, 1, 1, 1, 1]
