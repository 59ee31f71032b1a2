"""What happens to a request on its way: regions that are dark, and faults that a test has asked for. And what was called.

Only functions meet them (their keys are temporary, and begin with ASIA): whoever looks at the estate from outside still sees it.
"""

import asyncio
import contextvars
import os
import signal
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import cbor2
from ministack import app
from ministack.core import iam_actions, lambda_runtime, router
from ministack.services import sts

#: A hanging request is let go after this long; every time-out of the SDK's is shorter.
SILENCE_SECONDS = 60
KEPT_CALLS = 20_000


@dataclass
class Fault:
    """One thing that goes wrong, `times` times.

    - `applied`: the call takes effect, and its answer never comes
    - `lost`: the call has no effect, and no answer comes
    - `throttled`: the call is refused at once, as AWS refuses too many
    - `kill`: the call takes effect, and the function's process dies before it hears of it
    """

    kind: str
    action: str
    region: str | None = None
    function: str | None = None
    times: int = 1


@dataclass
class Call:
    """One request that reached AWS. `denied` is the first action that IAM did not allow of it."""

    at: float
    action: str
    region: str
    caller: str
    status: int
    fault: str | None = None
    denied: str | None = None


@dataclass
class Gate:
    """The state of it all; the control server reads and changes it."""

    dark: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, action: str, region: str, caller: str) -> Fault | None:
        """The fault that this call meets, counted."""
        with self.lock:
            for fault in self.faults:
                named = fault.region in (None, region) and (fault.function is None or fault.function in caller)
                if fault.times > 0 and fault.action == action and named:
                    fault.times -= 1
                    return fault
        return None

    def record(self, call: Call) -> None:
        with self.lock:
            self.calls.append(call)
            del self.calls[:-KEPT_CALLS]

    def as_json(self) -> dict[str, Any]:
        with self.lock:
            return {"dark": sorted(self.dark), "faults": [asdict(fault) for fault in self.faults], "calls": len(self.calls)}


gate = Gate()
#: What IAM denied of the present request; authorisation.py adds to it.
denials: contextvars.ContextVar[list[str]] = contextvars.ContextVar("denials")


def caller_of(headers: dict[str, str], query: dict[str, list[str]]) -> str:
    """`function NAME` for a function's own role, else `operator`."""
    key = router.extract_access_key_id(headers, query)
    session = sts._sessions.get(key) if key.startswith("ASIA") else None
    return f"function {session['Arn'].rsplit('/', 1)[-1]}" if session else "operator"


def processes() -> list[dict[str, Any]]:
    """The functions' processes that run now."""
    with lambda_runtime._lock:
        workers = [worker for pool in lambda_runtime._workers.values() for worker in pool]
    return [
        {"function": worker.func_name, "pid": worker._proc.pid, "busy": worker.in_use}
        for worker in workers
        if worker._proc is not None and worker._proc.poll() is None
    ]


def retire(function: str, region: str) -> None:
    """Ends the idle processes of a function: the next call of it starts afresh, and remembers nothing."""
    lambda_runtime.invalidate_worker(function, region=region)


def kill(function: str) -> list[int]:
    """Kills the busy processes of the functions whose name ends so; returns their ids."""
    doomed = [process["pid"] for process in processes() if process["function"].endswith(function) and process["busy"]]
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    return doomed


def _refused(service: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    if "cbor" in headers.get("content-type", ""):
        refusal = {"__type": "ThrottlingException", "message": "Rate exceeded"}
        return 400, {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}, cbor2.dumps(refusal)
    if "xml" in iam_actions._SERVICE_PROTOCOL.get(service, "json"):
        body = b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"
        return 400, {"Content-Type": "text/xml"}, body
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, b'{"__type":"ThrottlingException","message":"Rate exceeded"}'


def apply() -> None:
    """Once, before the first request."""
    dispatch = app._dispatch_service_request

    async def guarded(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]], request_id: str) -> Any:
        params = app._routing_params(method, path, headers, body, query)
        service = router.detect_service(method, path, headers, params)
        action = iam_actions.extract_iam_action(service, method, path, headers, body, params) or service
        region, caller = router.extract_region(headers, query), caller_of(headers, query)
        if region in gate.dark and caller != "operator":
            gate.record(Call(time.time(), action, region, caller, 0, "dark"))
            await asyncio.sleep(SILENCE_SECONDS)
            return 503, {}, b""
        fault = gate.take(action, region, caller) if caller != "operator" else None
        if fault is not None and fault.kind in ("lost", "throttled"):
            gate.record(Call(time.time(), action, region, caller, 0, fault.kind))
            if fault.kind == "throttled":
                return _refused(service, headers)
            await asyncio.sleep(SILENCE_SECONDS)
            return 503, {}, b""
        denied: list[str] = []
        denials.set(denied)
        answer = await dispatch(method, path, headers, body, query, request_id)
        gate.record(Call(time.time(), action, region, caller, answer[0], fault.kind if fault else None, next(iter(denied), None)))
        if fault is not None:
            if fault.kind == "kill":
                kill(caller.removeprefix("function "))
            await asyncio.sleep(SILENCE_SECONDS)
        return answer

    app._dispatch_service_request = guarded
