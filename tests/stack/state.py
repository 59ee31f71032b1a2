"""What the launcher remembers of a running stack: one directory, with everything that `stop` needs and tests read."""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import time
from typing import Any

STATE = "stack.json"


class Directory:
    """A stack's directory."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path.resolve()

    def read(self) -> dict[str, Any]:
        """What was written last; a stack that does not run has nothing."""
        file = self.path / STATE
        return json.loads(file.read_text()) if file.exists() else {}

    def write(self, **known: Any) -> dict[str, Any]:
        """Adds to what is known, so that `stop` finds it whatever happens next."""
        self.path.mkdir(parents=True, exist_ok=True)
        state = {**self.read(), **known}
        temporary = self.path / f"{STATE}.new"
        temporary.write_text(json.dumps(state, indent=2) + "\n")
        temporary.rename(self.path / STATE)
        return state

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def free_port(*addresses: str) -> int:
    """A port that is free on all of these addresses. None of those that the kernel gives to connections: it may give it away before it is listened on."""
    while True:
        sockets = [socket.socket() for _ in addresses]
        try:
            port = random.randrange(15_000, 32_000)
            for one, address in zip(sockets, addresses, strict=True):
                one.bind((address, port))
            return port
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()


def is_ours(pid: int, sign: str) -> bool:
    """Whether the process is still the one that we started: ids are used again."""
    try:
        return sign in pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def end(pid: int, sign: str, patience: float = 10) -> None:
    """Ends a process that we started, and what it started: it leads a session of its own."""
    if not is_ours(pid, sign):
        return
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + patience
    while is_ours(pid, sign) and time.monotonic() < until:
        time.sleep(0.1)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
