"""Who may work side by side."""

from dataclasses import replace

import pytest

from adloom.errors import ConfigurationError
from adloom.fleet_builds import Build, mixed, named, require_clock, require_same_renderer
from adloom.records import WorkerRecord
from adloom.states import WorkerState

OWN = Build("0.2.0", "0012", "2", "3.8.8")


def worker(name: str, **build: str) -> WorkerRecord:
    stats = {"build": {**OWN.to_json(), **build}} if build else {}
    return WorkerRecord(name, f"{name}:1", "gpu", "host", 1, "cuda:0", "0.1.0", stats=stats)


def test_a_member_that_renders_with_another_version_is_named_with_the_mend() -> None:
    there = [worker("a", renderer="2"), worker("b", renderer="1"), worker("c", renderer="1")]
    with pytest.raises(ConfigurationError, match=r"version 1 \(b, c\).*with 2.*SIGTERM"):
        require_same_renderer(OWN, there)


def test_who_stops_has_gone_or_says_nothing_keeps_nobody_out() -> None:
    other = worker("a", renderer="1")
    there = [
        replace(other, alive=False),
        replace(other, state=WorkerState.DRAINING),
        worker("old"),
        worker("other-release", adloom="0.1.9", schema="0011", prefect="3.8.7"),
    ]
    require_same_renderer(OWN, there)
    with pytest.raises(ConfigurationError, match=r"version 1 \(a\)"):  # it is only the living one
        require_same_renderer(OWN, [*there, other])


@pytest.mark.parametrize("skew_s", [0.0, -4.0, 299.0])
def test_a_clock_that_s3_bears_may_work(skew_s: float) -> None:
    require_clock(skew_s)
    with pytest.raises(ConfigurationError):
        require_clock(skew_s + 600)


@pytest.mark.parametrize(("skew_s", "words"), [(301.0, "301.0 s ahead"), (-9e3, "9000.0 s behind")])
def test_a_clock_that_s3_refuses_may_not(skew_s: float, words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{words}.*NTP"):
        require_clock(skew_s)


def test_a_mixture_names_few_and_counts_the_rest() -> None:
    assert mixed({"a": "1", "b": "1"}) is None
    assert mixed({"a": "1", "b": "2", "c": "1"}) == "1: a, c; 2: b"
    assert named(f"w{n}" for n in range(5)) == "w0, w1, w2 and 2 more"
