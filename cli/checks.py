"""What `adloom doctor` looks at."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from adloom.errors import AdloomError
from adloom.findings import Finding, Level, doubtful, of_error, well, wrong


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a run or a fleet needs, what was found, and how to mend it."""

    name: str
    level: Level
    detail: str
    mend: str


def run_checks() -> Iterator[Check]:
    """All checks, as they are made; one that fails does not keep the others from being made."""
    for name, check in (
        ("settings", _settings),
        ("services", _services),
        ("prefect", _prefect),
        ("database", _database),
        ("storage", _storage),
        ("weights", _weights),
        ("models", _models),
        ("device", _device),
        ("disk", _disk),
    ):
        yield _told(name, _found(check))
    yield from _fleet()


def _found(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except AdloomError as error:
        return of_error(error)


def _told(name: str, finding: Finding) -> Check:
    return Check(name, finding.level, finding.detail, finding.mend)


def _settings() -> Finding:
    from tasks.settings import Settings

    settings = Settings.load()
    version = ".".join(str(n) for n in sys.version_info[:3])
    return well(f"home {settings.home}, workspace '{settings.workspace}', Python {version}")


def _services() -> Finding:
    from services import stack
    from tasks.settings import Settings

    found = stack.status(Settings.load())
    bad = [s for s in found if s.state.value not in ("running", "external")]
    if bad:
        return wrong(", ".join(f"{s.name} is {s.state.value}" for s in bad), "run `adloom up`")
    return well(", ".join(f"{s.name} {s.state.value}" for s in found))


def _prefect() -> Finding:
    from services.prefect_server import version_of
    from services.stack import connect
    from tasks.builds import own_build
    from tasks.settings import Settings

    running = connect(Settings.load())
    there, here = version_of(running.prefect_api_url, running.prefect_auth), own_build().prefect
    if there != here:
        return doubtful(
            f"the server is {there}, this machine's Prefect is {here}",
            "upgrade the server first, then the workers (docs/deploy.md)",
        )
    return well(f"{there} at {running.prefect_api_url}")


def _database() -> Finding:
    from cli.session import environment

    with environment() as env:
        env.database.check()
        return well(f"{env.database.location}, schema up to date")


def _storage() -> Finding:
    from tasks.settings import Settings

    settings = Settings.load()
    settings.storage().open().check()
    return well(f"{settings.storage().url}: writes, reads, and refuses to overwrite")


def _weights() -> Finding:
    from tasks.machine_checks import weights
    from tasks.settings import Settings

    return weights(Settings.load().weights)


def _models() -> Finding:
    from tasks import resident
    from tasks.settings import Settings

    rendering = Settings.load().rendering()
    extractor, scorer = resident.extractor(rendering), resident.scorer(rendering)
    return well(f"mask extractor {extractor.version}, scorer {scorer.revision}")


def _device() -> Finding:
    from tasks.machine_checks import device
    from tasks.settings import Settings

    return device(Settings.load().device)


def _disk() -> Finding:
    from tasks.machine_checks import disk
    from tasks.settings import Settings

    return disk(Settings.load().home)


def _fleet() -> Iterator[Check]:
    """Those that ask the fleet; one line instead where its database does not answer."""
    from cli.session import environment
    from tasks import fleet_checks
    from tasks.builds import own_build

    try:
        with environment() as env:
            there, build = fleet_checks.members(env), own_build()
            for name, check in fleet_checks.CHECKS.items():
                yield _told(name, check(env, there, build))
    except AdloomError as error:
        yield _told("fleet", of_error(error))
