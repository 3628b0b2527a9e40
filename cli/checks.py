"""What `adloom doctor` looks at."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

from adloom.errors import AdloomError, ConfigurationError


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a run needs: whether it holds, and what was found or how to mend it."""

    name: str
    ok: bool
    detail: str


def run_checks() -> tuple[Check, ...]:
    """All checks; one that fails does not keep the others from being made."""
    named = (
        ("settings", _settings),
        ("services", _services),
        ("database", _database),
        ("storage", _storage),
        ("weights", _weights),
        ("models", _models),
        ("disk", _disk),
    )
    return tuple(_checked(name, check) for name, check in named)


def _checked(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except AdloomError as error:
        return Check(name, False, str(error))


def _settings() -> str:
    from tasks.settings import Settings

    settings = Settings.load()
    version = ".".join(str(n) for n in sys.version_info[:3])
    return f"home {settings.home}, workspace '{settings.workspace}', Python {version}"


def _services() -> str:
    from services import stack
    from tasks.settings import Settings

    found = stack.status(Settings.load())
    bad = [s for s in found if s.state.value not in ("running", "external")]
    if bad:
        raise ConfigurationError(
            ", ".join(f"{s.name} is {s.state.value}" for s in bad), hint="run `adloom up`"
        )
    return ", ".join(f"{s.name} {s.state.value}" for s in found)


def _database() -> str:
    from cli.session import environment

    with environment() as env:
        env.database.check()
        return f"{env.database.location}, schema up to date"


def _storage() -> str:
    from tasks.settings import Settings

    settings = Settings.load()
    settings.storage().open().check()
    return f"{settings.storage().url}: writes, reads, and refuses to overwrite"


def _weights() -> str:
    from tasks import resident
    from tasks.settings import Settings

    rendering = Settings.load().rendering()
    renderer = resident.renderer("mini", rendering)
    return f"mini {renderer.weights_hash[:12]} on {renderer.device}, {renderer.dtype}"


def _models() -> str:
    from tasks import resident
    from tasks.settings import Settings

    rendering = Settings.load().rendering()
    extractor, scorer = resident.extractor(rendering), resident.scorer(rendering)
    return f"mask extractor {extractor.version}, scorer {scorer.revision}"


def _disk() -> str:
    from tasks.settings import Settings

    home = Settings.load().home
    there = next(p for p in (home, *home.parents) if p.exists())
    free_gb = shutil.disk_usage(there).free / 1e9
    if free_gb < 2:
        raise ConfigurationError(
            f"only {free_gb:.1f} GB are free", where=str(there), hint="free some, or move the home"
        )
    return f"{free_gb:.0f} GB free at {there}"
