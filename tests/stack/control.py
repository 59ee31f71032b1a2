"""The local stack's own HTTP interface, for people and tests: JSON in, JSON out, on 127.0.0.1.

    GET  /state                        what is dark, which faults wait, which processes run, what the estate's servers do
    GET  /calls?since=EPOCH            every call that reached AWS since then
    POST /dark   {"region": "..."}     the region's APIs fall silent for functions; its application and its database stop
    POST /light  {"region": "..."}     they come back, the database as it was
    POST /fault  {"kind": "applied", "action": "rds:PromoteReadReplica", "region": "...", "function": "...", "times": 1}
    POST /kill   {"function": "..."}   kills the function's process, if it is at work
    POST /clear  {}                    no more faults
    POST /event  {"alarm": "...", "region": "..."}     the alarm's event once more: delivery is at least once
    POST /chat   {"text": "..."}       the webhook of the plan's chat; GET /chat gives what it was told, once

and, for tests of policies (trials.py):

    GET  /roles                        each role with a policy of its own: for whom, and its policies
    POST /policy {"role": "...", "name": "...", "document": {...}}     another policy, in force at once
    POST /still  {}                    schedules and alarms rest, until POST /wake {}
    POST /keep   {"name": "..."}       the estate and Muster's memory are kept under a name; POST /restore {"name"} brings them back
    POST /invoke {"function": "...", "region": "...", "event": {...}}  one invocation by a fresh process: {"failed", "answer"}
    POST /tick   {"machine": "..."}    the schedule of a state machine comes round now
    POST /snapshot {"region": "...", "name": "...", "seconds": 3600, "status": "failed"}   a snapshot becomes so much older, or has another status
    POST /instance {"region": "...", "name": "...", "status": "failed"}    an RDS instance has another status; `gone`: it is not there any more
    POST /dump   {"from": "REGION", "region": "...", "bucket": "...", "key": "...", "bytes": 100}    a pg_dump of the primary, whole or cut off, goes into a bucket
    POST /unheard {"alarm": "...", "region": "...", "seconds": 200}    an alarm that stands for so long, and whose event was lost
"""

import json
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import gate
import patches
import roles
import trials

Answer = dict[str, Any]


def serve(port: int, state: Callable[[], Answer], dark: Callable[[str], None], light: Callable[[str], None]) -> ThreadingHTTPServer:
    """The server, bound; the caller runs `serve_forever` in a thread."""
    changing = threading.Lock()
    chat: list[str] = []

    def post(path: str, asked: dict[str, Any]) -> Answer:
        if path == "/chat":
            chat.append(asked["text"])
            return {}
        with changing:
            if path == "/dark":
                dark(asked["region"])
            elif path == "/light":
                light(asked["region"])
            elif path == "/fault":
                gate.gate.faults.append(gate.Fault(**asked))
            elif path == "/clear":
                gate.gate.faults.clear()
            elif path == "/kill":
                return {"killed": gate.kill(asked["function"])}
            elif path == "/event":
                patches.act_in(asked["region"])
                patches.announce_alarm(asked["alarm"], "OK", "ALARM", asked.get("reason", "delivered again"))
            else:
                return trials.VERBS[path](asked) or {}
        return state()

    def told() -> Answer:
        heard = chat[:]
        del chat[: len(heard)]
        return {"told": heard}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            if url.path == "/calls":
                since = float(urllib.parse.parse_qs(url.query).get("since", ["0"])[0])
                self._send(200, {"calls": [asdict(call) for call in list(gate.gate.calls) if call.at >= since]})
            else:
                self._send(200, {"/roles": roles.listed, "/chat": told}.get(url.path, state)())

        def do_POST(self) -> None:
            try:
                asked = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
                self._send(200, post(self.path, asked))
            except (KeyError, TypeError, ValueError) as error:
                self._send(400, {"error": f"{type(error).__name__}: {error}"})

        def _send(self, status: int, answer: Answer) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
