#!/usr/bin/env python3
"""How fast a function starts: from the start of its process to its first poll of Lambda's runtime API; what it holds in memory then, and how large
the package is that is uploaded.

Beside it, in the same run: a handler in Python with boto3 and one in Node with a bundled SDK v3 client, which do the same and nothing more.
Prints a table of Markdown, then every target that was missed, and fails if one was.
Usage: start_up.py DIRECTORY-OF-BINARIES PYTHON-WITH-BOTO3 BUNDLED.js NAME...
"""

import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time
import zipfile
from io import BytesIO

TIMES = 20
#: What is promised of each function. MB are 10^6 bytes.
MOST_MILLISECONDS, MOST_RESIDENT_MB, MOST_PACKAGE_MB = 15, 20, 3
#: And how many times as long each of the others takes.
LEAST_RATIO = 15
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "AWS_REGION": "us-west-2",
    "AWS_DEFAULT_REGION": "us-west-2",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_LAMBDA_LOG_GROUP_NAME": "bench",
    "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
    "MUSTER_TABLE": "table",
    "MUSTER_BUCKET": "bucket",
    "MUSTER_HOME_REGION": "us-west-2",
    "MUSTER_FLOW_ARN_PREFIX": "arn:aws:states:us-west-2:123456789012:stateMachine:bench-",
}


def start_once(command: list[str]) -> tuple[float, float]:
    """Milliseconds to the first poll, and resident MB at that instant."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        api = f"127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        process = subprocess.Popen(command, env={**ENVIRONMENT, "AWS_LAMBDA_RUNTIME_API": api}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            server.settimeout(20)
            connection, _ = server.accept()
            connection.recv(65_536)
            took = (time.monotonic() - began) * 1_000
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
            connection.close()
        finally:
            process.kill()
            process.wait()
    return took, resident * 1_024 / 1e6


def measure(command: list[str]) -> tuple[float, float]:
    """Medians."""
    start_once(command)
    seen = [start_once(command) for _ in range(TIMES)]
    return statistics.median(took for took, _ in seen), statistics.median(resident for _, resident in seen)


def zipped(binary: pathlib.Path) -> float:
    """MB of the package that is uploaded, made as `sam deploy` makes it: deflated, at zlib's own level."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(binary, "bootstrap")
    return len(packed.getvalue()) / 1e6


def main() -> None:
    directory, python, bundle, *names = sys.argv[1:]
    here = pathlib.Path(__file__).parent
    missed: list[str] = []

    def held(what: str, value: float, target: float, unit: str) -> None:
        if value > target:
            missed.append(f"{what}: {value:.2f} {unit}, more than {target}")

    print(f"| function | to the first poll (median of {TIMES}) | resident | package |")
    print("|---|---|---|---|")
    starts: dict[str, float] = {}
    for name in names:
        binary = pathlib.Path(directory) / name / "bootstrap"
        starts[name], resident = measure([str(binary)])
        package = zipped(binary)
        print(f"| {name} | {starts[name]:.1f} ms | {resident:.1f} MB | {package:.2f} MB |")
        held(name, starts[name], MOST_MILLISECONDS, "ms to the first poll")
        held(name, resident, MOST_RESIDENT_MB, "MB resident")
        held(name, package, MOST_PACKAGE_MB, "MB of package")
    slowest = max(starts, key=lambda name: starts[name])
    for what, command in (("Python, boto3", [python, str(here / "handler.py")]), ("Node, bundled SDK", ["node", bundle])):
        took, resident = measure(command)
        ratio = took / starts[slowest]
        print(f"| {what}, one client | {took:.0f} ms, {ratio:.1f} times {slowest}, the slowest above | {resident:.0f} MB | |")
        if ratio < LEAST_RATIO:
            missed.append(f"{what}: {ratio:.1f} times {slowest}, fewer than {LEAST_RATIO}")
    if missed:
        raise SystemExit("\nmissed:\n" + "\n".join(missed))


if __name__ == "__main__":
    main()
