"""A Redis server: the cache of the standby region, which the plan wants an answer to PING of.

It stands for what ElastiCache runs: it keeps nothing on disk, listens on the loopback interface only, and ends with the stack.
"""

import pathlib
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass


SERVER = "redis-server"


@dataclass(frozen=True)
class Server:
    """One server: the replication group that it stands for, where it listens, and its process."""

    group: str
    region: str
    address: str
    port: int
    process: int

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def start(root: pathlib.Path, group: str, region: str, address: str, port: int) -> Server:
    """A new, empty server, listening."""
    program = shutil.which(SERVER)
    if program is None:
        raise SystemExit("Redis's server is missing: apt-get install redis-server")
    arguments = ["--bind", address, "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(root), "--logfile", f"{group}.log"]
    process = subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True)
    log, until = root / f"{group}.log", time.monotonic() + 20
    while not (log.exists() and "eady to accept connections" in log.read_text()):
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"Redis does not start: see {log}")
        time.sleep(0.05)
    return Server(group, region, address, port, process.pid)
