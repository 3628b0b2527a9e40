"""The dashboard of an installation: up with it, signed in to, killed, up again, down with it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.acceptance.installation import Installation, new_installation

pytestmark = [pytest.mark.acceptance]


@pytest.fixture(scope="module")
def adloom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installed = new_installation(tmp_path_factory.mktemp("dashboard"), ADLOOM_DASHBOARD_PORT="0")
    try:
        yield installed
    finally:
        installed.down()


def service(adloom: Installation) -> dict[str, Any]:
    found = adloom.call("status", "--json").json["services"]
    return next(s for s in found if s["name"] == "dashboard")


def test_up_starts_it_and_prints_how_to_sign_in(adloom: Installation) -> None:
    up = adloom.ok("up")
    assert service(adloom)["state"] == "running"
    assert service(adloom)["address"] == up["dashboard"]
    with httpx.Client(base_url=up["dashboard"], headers={"Accept": "text/html"}) as browser:
        assert browser.get("/").headers["location"].startswith("/sign-in")
        form = browser.get(up["sign_in"])
        token = form.text.split('name="csrf_token" value="')[1].split('"')[0]
        one_time = up["sign_in"].partition("token=")[2]
        data = {"csrf_token": token, "token": one_time}
        assert browser.post("/sign-in/link", data=data).status_code == 303
        me = browser.get("/api/v1/me").json()
        assert (me["name"], me["role"]) == ("local", "admin")
        assert browser.get("/api/v1/health").json() == {"database": "running", "prefect": "running"}


def test_accounts_are_made_from_a_file_and_speak_by_tokens(
    adloom: Installation, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("four words in a row\n")
    adloom.ok("user", "add", "ann", "--role", "reviewer", f"--password-file={tmp_path}/password")
    assert [u["has_password"] for u in adloom.ok("user", "list")["users"]] == [True, False]
    without = adloom.call("user", "add", "bob")
    assert without.code == 2
    assert "--password-file" in without.err
    token = adloom.ok("user", "token", "ann", "--label", "ci")["token"]
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{service(adloom)['address']}/api/v1/me"
    assert httpx.get(url, headers=headers).json() == {
        "name": "ann", "role": "reviewer", "by": "token",
    }  # fmt: skip
    adloom.ok("user", "disable", "ann")
    assert httpx.get(url, headers=headers).status_code == 401


def test_one_that_was_killed_is_started_again_and_down_stops_it(adloom: Installation) -> None:
    before = service(adloom)
    os.kill(before["pid"], signal.SIGKILL)
    psutil.wait_procs(
        [psutil.Process(before["pid"])] if psutil.pid_exists(before["pid"]) else [], 5
    )
    assert service(adloom)["state"] == "failing"
    assert adloom.call("status").code == 4
    adloom.ok("up")
    again = service(adloom)
    assert again["state"] == "running"
    assert again["pid"] != before["pid"]
    adloom.ok("down")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{again['address']}/healthz")
