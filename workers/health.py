"""A worker's pages: `/health`, and `/metrics` for Prometheus."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from adloom.errors import ConfigurationError

HOST = "127.0.0.1"
Report = Callable[[], tuple[bool, dict[str, Any]]]


@contextmanager
def health_page(
    port: int, report: Report, registry: CollectorRegistry, *, host: str = HOST
) -> Iterator[int]:
    """Answers GET /health with the report as JSON, 200 if it is healthy and 503 if not; and GET
    /metrics with those of the registry.

    `port` 0: a free one. Yields the port. Raises ConfigurationError if it is taken.
    """
    try:
        server = ThreadingHTTPServer((host, port), _handler(report, registry))
    except OSError as error:
        raise ConfigurationError(
            f"the port {port} cannot be used: {error.strerror}",
            where="--health-port",
            hint="choose another, or 0 for any that is free",
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def _handler(report: Report, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/health":
                healthy, said = report()
                self._answer(200 if healthy else 503, "application/json", json.dumps(said).encode())
            elif self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            else:
                self.send_error(404)

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args  # health checks come every few seconds

    return Handler
