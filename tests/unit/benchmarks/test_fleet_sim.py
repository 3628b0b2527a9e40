"""The figures of a simulated night are worked out from what its renderers noted."""

from benchmarks.fleet_sim import _gaps_s, _renderings, _spread


def line(pid: int, at: float, seed: int, seconds: float = 1.0) -> dict[str, float]:
    return {"pid": pid, "at": at, "seed": seed, "seconds": seconds}


def test_a_wait_is_between_two_batches_of_one_worker_and_not_within_one() -> None:
    journal = [
        line(1, 10.0, 11), line(1, 10.0, 12),  # a micro-batch of two: until 12
        line(1, 12.5, 13),  # the same batch goes on: until 13.5
        line(1, 13.75, 21),  # the next batch, a quarter of a second later
        line(2, 11.0, 31),  # another worker's only batch
    ]  # fmt: skip
    batch_of = {11: 1, 12: 1, 13: 1, 21: 2, 31: 3}
    made = _renderings(journal, batch_of)
    assert [(r.batch, r.begin, r.end) for r in made] == [
        (1, 10.0, 12.0), (3, 11.0, 12.0), (1, 12.5, 13.5), (2, 13.75, 14.75),
    ]  # fmt: skip
    assert _gaps_s(made) == [0.25]
    assert _spread(_gaps_s(made)) == {"median": 250.0, "p95": 250.0, "max": 250.0}
    assert _spread([]) == {}
