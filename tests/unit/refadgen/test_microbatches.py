"""Which items are rendered together, and how many."""

from hypothesis import given
from hypothesis import strategies as st

from models.refadgen.microbatches import FittingSizes, micro_batches

ITEMS = st.lists(st.sampled_from("abc"), max_size=30)


def cut(kinds: list[str], size: int, waiting: int = 256) -> list[list[int]]:
    """The numbers of the items in each micro-batch."""
    numbered = range(len(kinds))
    return list(micro_batches(numbered, lambda i: kinds[i], lambda _: size, waiting))


@given(ITEMS, st.integers(1, 5), st.integers(0, 8))
def test_every_item_is_in_one_micro_batch_of_its_kind_in_its_order(
    kinds: list[str], size: int, waiting: int
) -> None:
    batches = cut(kinds, size, waiting)
    assert sorted(i for batch in batches for i in batch) == list(range(len(kinds)))
    for batch in batches:
        assert 1 <= len(batch) <= size
        assert len({kinds[i] for i in batch}) == 1
    for kind in "abc":
        of_kind = [i for batch in batches for i in batch if kinds[i] == kind]
        assert of_kind == sorted(of_kind)


@given(ITEMS, st.integers(1, 5))
def test_at_most_one_micro_batch_of_a_kind_is_not_full(kinds: list[str], size: int) -> None:
    short = [kinds[batch[0]] for batch in cut(kinds, size) if len(batch) < size]
    assert len(short) == len(set(short))


def test_micro_batches_come_as_they_fill_and_the_rest_in_the_order_begun() -> None:
    assert cut(list("abacbb"), 2) == [[0, 2], [1, 4], [3], [5]]


def test_many_kinds_hold_few_items() -> None:
    taken = 0

    def kind(item: int) -> int:
        nonlocal taken
        taken = item
        return item

    batches = micro_batches(range(1000), kind, lambda _: 4, waiting=8)
    assert next(batches) == [0]
    assert taken == 8


def test_a_size_that_did_not_fit_is_halved_and_never_tried_again() -> None:
    sizes = FittingSizes()
    assert sizes.at_most("portrait", 8) == 8
    assert sizes.did_not_fit("portrait", 7) == 3
    assert sizes.at_most("portrait", 8) == 3
    assert sizes.at_most("portrait", 2) == 2
    assert sizes.at_most("square", 8) == 8
    assert sizes.did_not_fit("portrait", 7) == 3
    assert sizes.did_not_fit("portrait", 1) == 1
