"""Workers that can begin nothing ask ever more rarely, and never stop."""

from adloom.errors import ConfigurationError, ModelError
from workers.pauses import Pauses


def test_pauses_double_with_each_fault_in_a_row_up_to_two_minutes() -> None:
    pauses = Pauses()
    for most_s in (5, 10, 20, 40, 80, 120, 120):
        assert 0.8 * most_s <= pauses.after(ConfigurationError("keys")) <= most_s
    pauses.reset()
    assert pauses.after(ConfigurationError("keys")) <= 5


def test_a_worker_that_lacks_weights_stays_at_hand_for_other_models() -> None:
    pauses = Pauses()
    assert all(4 <= pauses.after(ModelError("weights")) <= 5 for _ in range(10))
