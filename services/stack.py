"""All that has to run for one installation: brought up, taken down, looked at, connected to."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from adloom.errors import UnavailableError
from services import databases, prefect_server, state
from services.postgres import EmbeddedPostgres
from services.prefect_server import PrefectServer
from services.processes import Process, is_alive, is_running, stop, stop_all, wait_until
from services.state import State
from tasks.logs import prefect_environment
from tasks.settings import Settings

DATABASE, PREFECT_DATABASE = "adloom", "prefect"
_WORKER_GRACE_S = 30.0
_ORPHAN_GRACE_S = 3.0
_ANSWER_S = 15.0  # of a server that others started, and that may be busy or starting
_UP = "run `adloom up`"


class ServiceState(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    EXTERNAL = "external"
    """Not ours to start or stop, and it answers."""
    FAILING = "failing"
    """It should run or answer, and does not."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """`address` carries no secret. `log` is None for what is not ours."""

    name: str
    state: ServiceState
    address: str
    pid: int | None = None
    log: Path | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """What a process needs to work with the running installation."""

    database_url: str = field(repr=False)
    prefect_api_url: str
    prefect_home: Path
    home: Path
    prefect_auth: str | None = field(default=None, repr=False)
    log_format: str = "text"

    @property
    def prefect_environment(self) -> dict[str, str]:
        """The variables for a process that runs flows; set them before Prefect is imported."""
        return {
            **prefect_server.client_environment(
                self.prefect_api_url, self.prefect_home, self.prefect_auth
            ),
            **prefect_environment(self.log_format),
        }

    @property
    def worker_environment(self) -> dict[str, str]:
        """The variables for a process that opens its environment from its settings."""
        return {**self.prefect_environment, "ADLOOM_DATABASE_URL": self.database_url}


def up(settings: Settings, *, migrate: Callable[[str], None] | None = None) -> Running:
    """Starts what does not run yet, and returns when all of it answers.

    `migrate` is called with the database's address while Prefect starts. Safe to repeat and to run
    twice at once; what an `up` that was killed had started is found again. Raises
    ConfigurationError, DatabaseUnavailableError, UnavailableError.
    """
    state.make_home(settings.home)
    with state.locked(settings.home):
        recorded = state.load(settings.home) or State()
        database_url = _database_up(settings, recorded)
        recorded = state.load(settings.home) or State()
        prefect = _prefect_launched(settings, recorded, database_url)
        if migrate:
            migrate(database_url)
        return _running(settings, database_url, _prefect_ready(settings, prefect))


def down(settings: Settings) -> bool:
    """Stops all that was started for this installation: workers first, Postgres last.

    True if everything ended by itself, False if something had to be killed. Safe to repeat.
    """
    if not settings.home.is_dir():
        return True
    with state.locked(settings.home):
        recorded = state.load(settings.home) or State()
        pages = (recorded.dashboard,) if recorded.dashboard else ()
        gentle = [stop_all((*pages, *recorded.workers), grace_s=_WORKER_GRACE_S)]
        if recorded.prefect:
            gentle.append(prefect_server.stop_server(recorded.prefect))
        gentle.append(_postgres(settings).stop())
        state.forget(settings.home)
    return all(gentle)


def connect(settings: Settings) -> Running:
    """The running installation. Raises UnavailableError when it does not run."""
    recorded = state.load(settings.home) or State()
    database_url, api = _given_url(settings), settings.prefect_api_url
    if database_url is None:
        if recorded.postgres is None:
            raise UnavailableError("adloom is not running", where=str(settings.home), hint=_UP)
        if _postgres(settings).running() is None:
            raise UnavailableError(
                "adloom's Postgres has ended", where=str(recorded.postgres.log), hint=_UP
            )
        database_url = _postgres(settings).url(DATABASE)
    if api is None:
        if recorded.prefect is None or recorded.prefect_port is None:
            raise UnavailableError("adloom is not running", where=str(settings.home), hint=_UP)
        if not is_alive(recorded.prefect):
            raise UnavailableError(
                "adloom's Prefect server has ended", where=str(recorded.prefect.log), hint=_UP
            )
        api = _prefect(settings).api_url(recorded.prefect_port)
    return _running(settings, database_url, api)


def status(settings: Settings) -> tuple[ServiceStatus, ...]:
    """Postgres, Prefect, and the recorded workers; asks the servers, so it may take seconds."""
    recorded = state.load(settings.home) or State()
    return (
        _postgres_status(settings, recorded),
        _prefect_status(settings, recorded),
        *(
            ServiceStatus(w.name, ServiceState.RUNNING, f"pid {w.pid}", w.pid, w.log)
            for w in recorded.workers
            if is_alive(w)
        ),
    )


def record_worker(settings: Settings, process: Process) -> None:
    """Has `down` stop this process, too. Forgets those that have ended."""
    with state.locked(settings.home):
        recorded = state.load(settings.home) or State()
        alive = tuple(w for w in recorded.workers if is_alive(w))
        state.save(settings.home, replace(recorded, workers=(*alive, process)))


def _database_up(settings: Settings, recorded: State) -> str:
    """The application database's address, its server running and both databases made."""
    given = _given_url(settings)
    if given is None:
        server = _postgres(settings)
        if server.running() is None and recorded.prefect:
            # a Prefect server that lost its database has lost some of its services for good
            stop(recorded.prefect, grace_s=_ORPHAN_GRACE_S)
        state.save(settings.home, replace(recorded, postgres=server.start()))
        databases.create_if_missing(server.url("postgres"), DATABASE)
        given = server.url(DATABASE)
    if settings.prefect_api_url is None:
        databases.create_if_missing(given, _prefect_database(settings))
    return given


def _prefect_launched(
    settings: Settings, recorded: State, database_url: str
) -> tuple[Process, int] | None:
    """Our server's process and port, found or started; None when the settings name another."""
    if settings.prefect_api_url is not None:
        return None
    if recorded.prefect and recorded.prefect_port and is_running(recorded.prefect):
        return recorded.prefect, recorded.prefect_port
    server = _prefect(settings)
    port = server.free_port(recorded.prefect_port)
    address = databases.for_asyncpg(database_url, _prefect_database(settings))
    process = server.launch(address, port)
    state.save(settings.home, replace(recorded, prefect=process, prefect_port=port))
    return process, port


def _prefect_ready(settings: Settings, launched: tuple[Process, int] | None) -> str:
    """The API's address once it answers."""
    if launched:
        process, port = launched
        _prefect(settings).wait_until_healthy(process, port)
        return _prefect(settings).api_url(port)
    given = settings.prefect_api_url or ""
    if not wait_until(lambda: prefect_server.answers(given), _ANSWER_S, every_s=0.5):
        raise UnavailableError(
            "the Prefect server does not answer", where=given, hint="check ADLOOM_PREFECT_API_URL"
        )
    return given


def _postgres_status(settings: Settings, recorded: State) -> ServiceStatus:
    if given := _given_url(settings):
        answers = databases.answers(given)
        found = ServiceState.EXTERNAL if answers else ServiceState.FAILING
        return ServiceStatus("postgres", found, databases.shown(given))
    server = _postgres(settings)
    process, address = server.running(), databases.shown(server.url(DATABASE))
    if process is None:
        found = ServiceState.FAILING if recorded.postgres else ServiceState.STOPPED
        return ServiceStatus("postgres", found, address, log=server.log)
    answers = databases.answers(server.url(DATABASE))
    found = ServiceState.RUNNING if answers else ServiceState.FAILING
    return ServiceStatus("postgres", found, address, process.pid, server.log)


def _prefect_status(settings: Settings, recorded: State) -> ServiceStatus:
    if given := settings.prefect_api_url:
        found = ServiceState.EXTERNAL if prefect_server.answers(given) else ServiceState.FAILING
        return ServiceStatus("prefect", found, given)
    log = _prefect(settings).log
    if recorded.prefect is None or recorded.prefect_port is None:
        return ServiceStatus("prefect", ServiceState.STOPPED, "", log=log)
    address = _prefect(settings).api_url(recorded.prefect_port)
    if not is_alive(recorded.prefect):
        return ServiceStatus("prefect", ServiceState.FAILING, address, log=log)
    healthy = _prefect(settings).is_healthy(recorded.prefect, recorded.prefect_port)
    found = ServiceState.RUNNING if healthy else ServiceState.FAILING
    return ServiceStatus("prefect", found, address, recorded.prefect.pid, log)


def _given_url(settings: Settings) -> str | None:
    return (
        databases.plain(settings.database_url.get_secret_value()) if settings.database_url else None
    )


def _prefect_database(settings: Settings) -> str:
    """Beside a database that we were given, one that is named after it."""
    given = _given_url(settings)
    return f"{databases.database_of(given)}_prefect" if given else PREFECT_DATABASE


def _postgres(settings: Settings) -> EmbeddedPostgres:
    return EmbeddedPostgres(settings.home / "postgres", settings.home / "logs" / "postgres.log")


def _prefect(settings: Settings) -> PrefectServer:
    return PrefectServer(
        settings.home / "prefect",
        settings.home / "logs" / "prefect.log",
        host=settings.prefect_host,
        auth=_prefect_auth(settings),
        log_format=settings.log_format,
    )


def _running(settings: Settings, database_url: str, prefect_api_url: str) -> Running:
    return Running(
        database_url=database_url,
        prefect_api_url=prefect_api_url,
        prefect_home=settings.home / "prefect",
        home=settings.home,
        prefect_auth=_prefect_auth(settings),
        log_format=settings.log_format,
    )


def _prefect_auth(settings: Settings) -> str | None:
    return settings.prefect_auth.get_secret_value() if settings.prefect_auth else None
