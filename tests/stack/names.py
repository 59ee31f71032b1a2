"""What Route 53 answers: a DNS server on UDP, from moto's records and the alarms that their health checks follow.

Route 53's data plane needs no control plane: it goes on answering when us-east-1 is dark, and so does this.
"""

import socketserver
import struct
import time
from typing import Any

import patches
from ministack.services import cloudwatch
from moto.route53.models import route53_backends

ADDRESS, ALIAS_DEPTH = 1, 8
#: health check -> whether it was healthy when there was data
_last_known: dict[str, bool] = {}


def is_healthy(identity: str | None) -> bool:
    """A health check on an alarm reads the alarm's metric, not its state; without data it keeps its last status.

    Source: the Route 53 developer guide, "Monitoring a CloudWatch alarm".
    """
    check = _backend().health_checks.get(identity) if identity else None
    alarm_name = getattr(check, "alarm_identifier", None)
    if check is None or alarm_name is None:
        return True
    patches.act_in(alarm_name["Region"])
    alarm = cloudwatch._alarms.get(alarm_name["Name"])
    # The newest period may not have data yet.
    verdicts = patches.alarm_periods(alarm, int(alarm.get("EvaluationPeriods") or 1) + 1, time.time()) if alarm else []
    known = [verdict for verdict in verdicts if verdict is not None]
    if known:
        _last_known[check.id] = not known[0]
    return _last_known.get(check.id, True) != bool(check.inverted)


def _backend() -> Any:
    return route53_backends[patches.ACCOUNT]["aws"]


def lookup(name: str, depth: int = 0) -> tuple[list[str], int] | None:
    """The addresses of a name and their time to live; None where no record has the name."""
    wanted = name.rstrip(".").lower()
    sets = [
        record
        for zone in list(_backend().zones.values())
        for record in list(zone.rrsets)
        if record.name.rstrip(".").lower() == wanted and record.type == "A"
    ]
    if not sets:
        return None
    primary = [record for record in sets if record.failover == "PRIMARY"]
    if primary and not is_healthy(primary[0].health_check_id):
        sets = [record for record in sets if record.failover == "SECONDARY"] or sets
    elif primary:
        sets = primary
    chosen = sets[0]
    if chosen.alias_target and depth < ALIAS_DEPTH:
        return lookup(chosen.alias_target["DNSName"], depth + 1)
    return [record["Value"] if isinstance(record, dict) else record for record in chosen.records], int(chosen.ttl or 60)


def answer(query: bytes) -> bytes:
    """A reply to one question; other types than A have no data, unknown names do not exist."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    question = query[12 : at + 5]
    (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
    found = lookup(".".join(labels))
    addresses, ttl = found if found is not None and kind == ADDRESS else ([], 0)
    # A reply, authoritative, with the question's own "recursion desired"; 3 is NXDOMAIN.
    flags = 0x8400 | (query[2] & 1) << 8 | (3 if found is None else 0)
    header = query[:2] + struct.pack("!HHHHH", flags, 1, len(addresses), 0, 0)
    records = b"".join(
        struct.pack("!HHHIH", 0xC00C, ADDRESS, 1, ttl, 4) + bytes(int(part) for part in address.split(".")) for address in addresses
    )
    return header + question + records


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        query, reply = self.request
        reply.sendto(answer(query), self.client_address)


def serve(port: int) -> socketserver.ThreadingUDPServer:
    """The server, bound; the caller runs `serve_forever` in a thread."""
    return socketserver.ThreadingUDPServer(("127.0.0.1", port), _Handler)
