"""The service itself, as small as it can be: what answers behind each region's load balancer.

An endpoint answers 503 while no instance is in service behind it, as a load balancer does, and when the database that the region's
configuration names does not answer.
"""

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LISTED = 5


class Application:
    """One region's endpoint. `instances` counts those in service; `database` is `host:port`, or nothing."""

    def __init__(self, address: str, port: int, region: str, instances: Callable[[], int], database: Callable[[], str]) -> None:
        self.address, self.port, self.region = address, port, region
        self.instances, self.database = instances, database
        self._server: ThreadingHTTPServer | None = None

    @property
    def is_up(self) -> bool:
        return self._server is not None

    def start(self) -> None:
        application = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, answer = application.answer(self.path)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer((self.address, self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """From now on connections are refused."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def answer(self, path: str) -> tuple[int, dict[str, object]]:
        instances = self.instances()
        if instances == 0:
            return 503, {"region": self.region, "why": "no instance is in service"}
        if path.startswith("/api/"):
            host, _, port = self.database().partition(":")
            try:
                socket.create_connection((host, int(port or 5432)), timeout=1).close()
            except (OSError, ValueError) as error:
                return 503, {"region": self.region, "why": f"the database does not answer: {error}"}
            return 200, {"region": self.region, "users": [f"user {number}" for number in range(1, LISTED + 1)]}
        return 200, {"region": self.region, "instances": instances}
