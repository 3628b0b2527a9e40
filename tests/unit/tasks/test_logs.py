"""Log lines for machines: what they are about, in one form, without secrets."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
import structlog

from tasks.logs import JsonFormatter, about, configure, in_context, prefect_environment


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def lines(written: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


def test_a_line_says_when_who_and_what_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    with about(run=7, batch=12):
        structlog.get_logger("tasks.x").warning("render failed", render=3, error="no\npicture")
    [line] = lines(capsys.readouterr().err)
    at = datetime.fromisoformat(line.pop("time"))
    assert at.utcoffset() is not None
    assert abs(at.timestamp() - time.time()) < 60
    assert line == {
        "level": "warning", "logger": "tasks.x", "message": "render failed", "run": 7, "batch": 12,
        "render": 3, "error": "no\npicture",
    }  # fmt: skip


def test_threads_go_on_about_the_same_and_the_next_work_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("json")
    log = structlog.get_logger("x")
    with ThreadPoolExecutor(1) as pool, about(batch=1):
        with about(render=2):
            first = pool.submit(in_context(log.info), "stored")
        first.result()
        thread = threading.Thread(target=in_context(lambda: log.info("beat")))
        thread.start()
        thread.join()
    log.info("after")
    said = lines(capsys.readouterr().err)
    assert [(n["message"], n.get("batch"), n.get("render")) for n in said] == [
        ("stored", 1, 2), ("beat", 1, None), ("after", None, None),
    ]  # fmt: skip


def test_passwords_stand_on_no_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7")
    monkeypatch.setenv("ADLOOM_PREFECT_AUTH", "ops:quite-secret")
    for log_format in ("json", "text"):
        configure(log_format)
        structlog.get_logger("x").error(
            "cannot connect to postgresql://ads:hunter22@db:5432/ads",
            error="signed with wJalrXUtnFEMI/K7, asked as ops:quite-secret",
            given={"url": "https://u:hunter22@shop", "api_token": "abc"},
            password="hunter22",
        )
    written = capsys.readouterr().err
    assert written.count("hidden") >= 10
    assert "postgresql://[hidden]@db:5432/ads" in written
    for secret in ("hunter22", "wJalrXUtnFEMI/K7", "quite-secret", "abc"):
        assert secret not in written


def test_lines_of_other_libraries_have_the_same_form() -> None:
    record = logging.LogRecord(
        "prefect.flow_runs", logging.ERROR, __file__, 1, "Finished in %s", ("Failed",), None
    )
    record.flow_run_name = "batch-12"
    with about(run=7):
        line = json.loads(JsonFormatter().format(record))
    assert (line["level"], line["logger"], line["message"]) == (
        "error", "prefect.flow_runs", "Finished in Failed",
    )  # fmt: skip
    assert (line["run"], line["flow_run_name"]) == (7, "batch-12")
    assert line["time"].endswith("Z")


def test_prefect_itself_logs_json_by_its_environment() -> None:
    says = (
        "import prefect.main; from prefect.logging import get_logger; "
        "get_logger('x').error('[away] from %s', 'http://u:hunter22@host')"
    )
    done = subprocess.run(
        [sys.executable, "-c", says],
        env={**os.environ, "DO_NOT_TRACK": "1", **prefect_environment("json")},
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    [line] = [json.loads(one) for one in done.stderr.splitlines()]
    assert line["message"] == "[away] from http://[hidden]@host"
    assert (line["level"], line["logger"]) == ("error", "prefect.x")
    assert prefect_environment("text") == {}
