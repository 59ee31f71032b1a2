"""What a test needs to try one policy after another on one stack: quiet, the same beginning each time, fresh processes, other policies."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import builds
import gate
import memory
import patches
import restores
import roles
from aws import Account
from ministack.services import cloudwatch, eventbridge, scheduler

_account = Account(f"http://127.0.0.1:{os.environ.get('GATEWAY_PORT')}")
#: Whether schedules and alarms rest: while they do, only what is asked for happens.
is_still = False


def be_still(still: bool) -> None:
    global is_still
    is_still = still


def invoke(asked: dict[str, Any]) -> dict[str, Any]:
    """One invocation, by a process that remembers nothing of an earlier one: what a function read before, it reads again."""
    gate.retire(asked["function"], asked["region"])
    answer = _account.client("lambda", asked["region"]).invoke(FunctionName=asked["function"], Payload=json.dumps(asked["event"]))
    return {"failed": "FunctionError" in answer, "answer": json.loads(answer["Payload"].read())}


def raise_unheard(asked: dict[str, Any]) -> None:
    """An alarm that went off so many seconds ago, and whose event reached nobody."""
    patches.act_in(asked["region"])
    since = int(time.time() - asked["seconds"])
    cloudwatch._alarms[asked["alarm"]].update(StateValue="ALARM", StateUpdatedTimestamp=since, StateTransitionedTimestamp=since)


#: Path of the control interface -> what it does.
VERBS: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
    "/still": lambda _: be_still(True),
    "/wake": lambda _: be_still(False),
    "/keep": lambda asked: memory.keep(asked["name"]),
    "/restore": lambda asked: memory.restore(asked["name"]),
    "/invoke": invoke,
    "/policy": lambda asked: roles.put_policy(asked["role"], asked["name"], asked["document"]),
    "/tick": lambda asked: roles.tick(asked["machine"]),
    "/unheard": raise_unheard,
    "/snapshot": lambda asked: patches.change_snapshot(**asked),
    "/dump": builds.dump,
    "/instance": lambda asked: restores.change_instance(**asked),
}


def apply() -> None:
    """Once, before the first request."""
    ticked, fired, evaluated = eventbridge._tick_scheduled_rules, scheduler._tick_schedules, cloudwatch._evaluate_alarm

    def tick_scheduled_rules() -> None:
        if not is_still:
            ticked()

    def tick_schedules() -> None:
        if not is_still:
            fired()

    def evaluate_alarm(alarm: dict[str, Any]) -> None:
        if not is_still:
            evaluated(alarm)

    eventbridge._tick_scheduled_rules = tick_scheduled_rules
    scheduler._tick_schedules = tick_schedules
    cloudwatch._evaluate_alarm = evaluate_alarm
