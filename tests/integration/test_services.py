"""Real servers, started, attached to, killed, recovered and stopped."""

import os
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from adloom.errors import ConfigurationError, DatabaseUnavailableError, UnavailableError
from services import background, prefect_server, stack, state
from services.postgres import EmbeddedPostgres
from services.processes import is_alive, kill, start_detached, wait_until
from services.stack import Running, ServiceState
from tasks.settings import Settings


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not pytest's own: each session of pytest closes that to the user Postgres runs as."""
    with tempfile.TemporaryDirectory(prefix="adloom-test-") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    return Settings.load(home=folder / "home")


@pytest.fixture(scope="module")
def running(settings: Settings) -> Iterator[Running]:
    try:
        yield stack.up(settings, migrate=_make_table)
    finally:
        stack.down(settings)


def _make_table(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        connection.execute("INSERT INTO kept SELECT 1 WHERE NOT EXISTS (SELECT FROM kept)")


def _kept(url: str) -> list[tuple[int]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT n FROM kept").fetchall()


def _is_gone(pid: int | None) -> bool:
    """Whether nothing but a dead process's entry is left, as init may take time to collect it."""
    try:
        return pid is None or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _pids(settings: Settings) -> dict[str, int | None]:
    return {s.name: s.pid for s in stack.status(settings)}


def _states(settings: Settings) -> list[ServiceState]:
    return [s.state for s in stack.status(settings)]


def _come_to(settings: Settings, wanted: ServiceState) -> bool:
    """Whether both servers are in it, asked again where an answer took too long on a busy
    machine: Prefect's services begin their work when `up` returns."""
    return any(_states(settings) == [wanted, wanted] for _ in range(3))


def _servers_of(settings: Settings) -> list[int]:
    """The pids of all Postgres servers on the installation's data."""
    found = psutil.process_iter(["name", "cmdline"])
    data = str(settings.home / "postgres" / "data")
    return [
        p.pid
        for p in found
        if p.info["name"].startswith("postgres") and data in (p.info["cmdline"] or [])
    ]


def _without_own_prefect(running: Running, home: Path) -> Settings:
    return Settings.load(home=home, prefect_api_url=running.prefect_api_url)


def test_up_starts_both_servers_and_runs_the_migrations(
    settings: Settings, running: Running
) -> None:
    assert _come_to(settings, ServiceState.RUNNING)
    assert _kept(running.database_url) == [(1,)]
    assert prefect_server.answers(running.prefect_api_url)
    assert stack.connect(settings) == running


def test_a_second_up_attaches(settings: Settings, running: Running) -> None:
    before = _pids(settings)
    assert stack.up(settings, migrate=_make_table) == running
    assert _pids(settings) == before


def test_what_is_recorded_is_its_owner_s_alone(settings: Settings, running: Running) -> None:
    assert stat.S_IMODE((settings.home / "state.json").stat().st_mode) == 0o600
    assert running.database_url not in repr(running)


def test_the_servers_listen_on_this_machine_only(settings: Settings, running: Running) -> None:
    assert running.prefect_api_url.startswith("http://127.0.0.1:")
    listening = [
        c.laddr.ip
        for pid in _pids(settings).values()
        for c in psutil.Process(pid).net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_prefect_keeps_its_runs_in_postgres_and_reports_nothing_home(
    settings: Settings, running: Running
) -> None:
    url = running.database_url.replace("/adloom?", "/prefect?")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM flow_run").fetchone() is not None
    environment = psutil.Process(_pids(settings)["prefect"]).environ()
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["PREFECT_HOME"] == str(settings.home / "prefect")


def test_a_killed_postgres_is_noticed_and_comes_back_with_its_data(
    settings: Settings, running: Running
) -> None:
    before = _pids(settings)
    assert before["postgres"] is not None
    os.kill(before["postgres"], signal.SIGKILL)
    assert wait_until(lambda: _states(settings)[0] is ServiceState.FAILING, 10)
    with pytest.raises(UnavailableError, match="adloom up"):
        stack.connect(settings)
    assert stack.up(settings) == running
    assert _kept(running.database_url) == [(1,)]
    assert _come_to(settings, ServiceState.RUNNING)
    assert _pids(settings)["postgres"] != before["postgres"]


def test_a_killed_prefect_server_comes_back_on_its_port(
    settings: Settings, running: Running
) -> None:
    recorded = state.load(settings.home)
    assert recorded is not None
    assert recorded.prefect is not None
    kill(recorded.prefect)
    assert wait_until(lambda: not is_alive(recorded.prefect), 10)
    with pytest.raises(UnavailableError, match="Prefect server has ended"):
        stack.connect(settings)
    assert stack.up(settings) == running
    assert _come_to(settings, ServiceState.RUNNING)


def test_servers_of_others_are_used_and_left_alone(
    settings: Settings, running: Running, folder: Path
) -> None:
    other = Settings.load(
        home=folder / "other",
        database_url=running.database_url,
        prefect_api_url=running.prefect_api_url,
    )
    assert stack.connect(other).database_url == running.database_url
    assert stack.up(other).prefect_api_url == running.prefect_api_url
    assert _come_to(other, ServiceState.EXTERNAL)
    assert stack.down(other)
    assert _come_to(settings, ServiceState.RUNNING)


def test_two_installations_started_at_once_twice_run_one_postgres_each(
    running: Running, folder: Path
) -> None:
    both = [_without_own_prefect(running, folder / name) for name in ("left", "right")]
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(stack.up, [*both, *both]))
        pids = [_pids(each)["postgres"] for each in both]
        assert None not in pids
        assert len(set(pids)) == 2
        assert _servers_of(both[0]) == [pids[0]]
    finally:
        stopped = [stack.down(each) for each in both]
    assert stopped == [True, True]
    assert all(_is_gone(pid) for pid in pids)


def test_down_stops_recorded_workers_too(running: Running, folder: Path) -> None:
    settings = _without_own_prefect(running, folder / "worker")
    state.make_home(settings.home)
    log = settings.home / "logs" / "sleep.log"
    worker = start_detached("worker", ["sleep", "600"], log=log, env=os.environ, cwd=folder)
    stack.record_worker(settings, worker)
    assert [s.name for s in stack.status(settings)] == ["postgres", "prefect", "worker"]
    assert stack.down(settings)
    assert not is_alive(worker)


def test_a_command_in_the_background_writes_its_own_log(running: Running, folder: Path) -> None:
    settings = _without_own_prefect(running, folder / "background")
    process = background.start_command(["--version"], settings=settings)
    assert process.log.parent == settings.home / "logs"
    assert wait_until(lambda: not is_alive(process), 60)
    assert process.log.exists()


def test_down_leaves_no_process_and_nothing_to_connect_to(
    settings: Settings, running: Running
) -> None:
    assert running.prefect_home.is_dir()
    pids = _pids(settings)
    stack.down(settings)
    assert all(_is_gone(pid) for pid in pids.values())
    assert _states(settings) == [ServiceState.STOPPED, ServiceState.STOPPED]
    with pytest.raises(UnavailableError, match="run `adloom up`"):
        stack.connect(settings)
    assert stack.down(settings)


def test_a_path_too_long_for_a_socket_and_a_recycled_pid_do_not_hinder_postgres(
    folder: Path,
) -> None:
    server = EmbeddedPostgres(folder / ("long-" * 20) / "postgres", folder / "long.log")
    try:
        server.start()
        sockets = Path(server.url("x").split("host=")[1].split("&")[0])
        assert not sockets.is_relative_to(folder)
        assert server.stop()
        assert not sockets.exists()
        file = server.data / "postmaster.pid"
        file.write_text(f"{os.getpid()}\n{server.data}\n1\n5432\n{sockets}\n\n  1 1\nready\n")
        assert server.running() is None
        assert server.start() == server.running()
    finally:
        assert server.stop()


def test_a_database_that_does_not_answer_is_one_clear_line_without_its_password(
    folder: Path,
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"postgresql://me:hunter2@127.0.0.1:{closed.getsockname()[1]}/ads"
        with pytest.raises(DatabaseUnavailableError, match="ADLOOM_DATABASE_URL") as caught:
            stack.up(Settings.load(home=folder / "elsewhere", database_url=url))
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_home_that_cannot_be_made_is_refused_with_the_mend() -> None:
    for home in ("/dev/null/adloom", "/sys/adloom"):
        with pytest.raises(ConfigurationError, match="ADLOOM_HOME"):
            stack.up(Settings.load(home=home))


@pytest.mark.skipif(
    os.geteuid() != 0 or bool(Path("/root").stat().st_mode & stat.S_IXOTH),
    reason="needs root with a closed home folder",
)
def test_root_s_own_home_is_refused_and_not_opened() -> None:
    with tempfile.TemporaryDirectory(dir="/root", prefix="adloom-test-") as home:
        before = stat.S_IMODE(Path("/root").stat().st_mode)
        with pytest.raises(ConfigurationError, match="ADLOOM_HOME"):
            stack.up(Settings.load(home=home))
        assert stat.S_IMODE(Path("/root").stat().st_mode) == before
