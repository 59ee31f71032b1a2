"""Clients of the service, who write all the time: they follow the public name, and keep their sessions open as clients do."""

import subprocess
import threading
import time
from collections.abc import Callable

import databases

PAUSE_SECONDS = 1.0
WRITE = "insert into orders (user_id) values (1) returning id;\n"


class Clients:
    """One of them stands for all. `database` says where the service that they reach keeps its data, as `host:port`; empty: nowhere."""

    def __init__(self, database: Callable[[], str]) -> None:
        self._database = database
        self._session: subprocess.Popen[str] | None = None
        self._connected_to = ""
        self.confirmed, self.failed, self.last_confirmed_at = 0, 0, 0.0

    def start(self) -> None:
        threading.Thread(target=self._live, daemon=True).start()

    def as_json(self) -> dict[str, object]:
        return {
            "confirmed": self.confirmed,
            "failed": self.failed,
            "lastConfirmedAt": self.last_confirmed_at,
            "database": self._connected_to,
        }

    def _live(self) -> None:
        while True:
            if self._write():
                self.confirmed += 1
                self.last_confirmed_at = time.time()
            else:
                self.failed += 1
            time.sleep(PAUSE_SECONDS)

    def _write(self) -> bool:
        try:
            session = self._connect()
            if session is None or session.stdin is None or session.stdout is None:
                return False
            session.stdin.write(WRITE)
            session.stdin.flush()
            return session.stdout.readline().strip().isdigit()
        except (OSError, ValueError):
            return False

    def _connect(self) -> subprocess.Popen[str] | None:
        where = self._database()
        session = self._session
        if session is not None and session.poll() is None and where == self._connected_to:
            return session
        if session is not None:
            session.kill()
            session.wait()
        self._connected_to = where
        if not where:
            self._session = None
            return None
        host, _, port = where.partition(":")
        address = f"postgresql://{databases.CLIENT}:{databases.CLIENT_PASSWORD}@{host}:{port or 5432}/{databases.DATABASE}?connect_timeout=2"
        command = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", f"--dbname={address}"]
        self._session = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return self._session
