"""What the members of a fleet are made of, and whether they may work side by side. Pure.

A renderer version stands for pixels: two of them in one fleet would hand each other's batches back
for ever. Versions of adloom with one renderer version and one schema may be mixed, as they are
while machines are upgraded one after another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from adloom.errors import ConfigurationError
from adloom.records import WorkerRecord
from adloom.states import WorkerState

CLOCK_TOLERATED_S, CLOCK_REFUSED_S = 2.0, 300.0
"""Leases are timed by Postgres alone. Beyond the first, logs of machines cannot be read together;
S3 refuses what is signed 15 minutes off, so beyond the second no worker begins."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Build:
    """`schema` is the database revision that a process needs, `renderer` its renderer version."""

    adloom: str
    schema: str
    renderer: str
    prefect: str

    @classmethod
    def of(cls, worker: WorkerRecord) -> Self | None:
        """What a worker said of itself; None for one that says nothing, of an older version."""
        said = worker.stats.get("build")
        if not isinstance(said, Mapping):
            return None
        return cls(**{name: str(said.get(name, "")) for name in cls.__slots__})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def require_same_renderer(own: Build, members: Iterable[WorkerRecord]) -> None:
    """Raises ConfigurationError if a living member that takes work renders with another version."""
    others = [
        (worker.name, build.renderer)
        for worker in members
        if worker.alive
        and worker.state is WorkerState.WORKING
        and (build := Build.of(worker)) is not None
        and build.renderer != own.renderer
    ]
    if others:
        raise ConfigurationError(
            f"the fleet renders with version {others[0][1]} ({named(n for n, _ in others)}), "
            f"this process (adloom {own.adloom}) with {own.renderer}",
            hint="stop those workers first (SIGTERM lets them finish), or start this one with "
            "their version of adloom",
        )


def require_clock(skew_s: float) -> None:
    """Raises ConfigurationError for a clock that is too far off for S3."""
    if abs(skew_s) > CLOCK_REFUSED_S:
        raise ConfigurationError(
            f"this machine's clock is {described(skew_s)} Postgres'",
            hint="set it by NTP (timedatectl set-ntp true): S3 refuses what a wrong clock signs",
        )


def described(skew_s: float) -> str:
    """`12.5 s ahead of`, `3.0 s behind`."""
    return f"{abs(skew_s):.1f} s {'ahead of' if skew_s > 0 else 'behind'}"


def named(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    there = sorted(names)
    more = f" and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
    return ", ".join(there[:_NAMED]) + more


def mixed(values: Mapping[str, str]) -> str | None:
    """How workers (by name) differ in something; None if they do not."""
    by_value: dict[str, list[str]] = {}
    for name, value in values.items():
        by_value.setdefault(value, []).append(name)
    if len(by_value) < 2:
        return None
    return "; ".join(f"{value}: {named(names)}" for value, names in sorted(by_value.items()))
