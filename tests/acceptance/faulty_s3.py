"""An S3 server's front door that answers some requests with 503, as S3 does when it is busy."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

_BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_HOP = {"connection", "expect", "keep-alive", "transfer-encoding"}


@dataclass
class FaultyS3:
    """Refuses the first `refusals` puts of each object whose path holds `part`."""

    target: str
    part: str = "/renders/"
    refusals: int = 0
    endpoint: str = ""
    refused: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refuses(self, method: str, path: str) -> bool:
        path = path.partition("?")[0]
        with self._lock:
            if method != "PUT" or self.part not in path or self.refused[path] >= self.refusals:
                return False
            self.refused[path] += 1
            return True


@contextmanager
def faulty(target: str) -> Iterator[FaultyS3]:
    """Passes requests on to the server at `target`, with the host that they were signed for."""
    faults = FaultyS3(target)
    with httpx.Client(timeout=60.0, trust_env=False) as client:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if faults.refuses(self.command, self.path):
                    self._answer(503, {}, _BUSY)
                    return
                headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
                url = faults.target + self.path
                request = client.build_request(self.command, url, headers=headers, content=body)
                try:
                    got = client.send(request)
                except httpx.TransportError:
                    self.close_connection = True
                    return
                self._answer(got.status_code, dict(got.headers), got.content)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in _HOP | {"content-length"}:
                        self.send_header(name, value)
                length = headers.get("content-length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            faults.endpoint = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield faults
            server.shutdown()
            thread.join()
