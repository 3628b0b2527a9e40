from hypothesis import given
from hypothesis import strategies as st

from adloom.render_spec import RenderSpec
from tasks.rendering import micro_batches
from tests.unit.core.strategies import specs


@given(st.lists(specs, max_size=12), st.integers(1, 5))
def test_every_spec_is_in_exactly_one_micro_batch(given_: list[RenderSpec], size: int) -> None:
    batches = list(micro_batches(given_, size))
    assert sorted(s.fingerprint for b in batches for s in b) == sorted(
        s.fingerprint for s in given_
    )
    assert all(1 <= len(b) <= size for b in batches)


@given(st.lists(specs, max_size=12), st.integers(1, 5))
def test_a_micro_batch_has_one_native_size_one_sampler_and_one_model(
    given_: list[RenderSpec], size: int
) -> None:
    for batch in micro_batches(given_, size):
        assert len({(s.native, s.sampler, s.weights_hash) for s in batch}) == 1
