"""The roles of the stack: state machines and rules that act under theirs, and policies that are changed for a while.

On AWS a state machine's task and a rule's target are called under the role that the machine or the rule has. ministack lets both call everything;
here IAM is asked. Sources: the developer guide of Step Functions, "IAM policies for integrated services"; the EventBridge user guide, "Using
identity-based policies".
"""

import contextvars
import json
import time
from typing import Any

import gate
import patches
from ministack.core import iam_evaluator
from ministack.core.responses import get_region
from ministack.services import eventbridge, iam, lambda_svc, scheduler, stepfunctions

#: The ARN of the role that the present task acts under.
_acting: contextvars.ContextVar[str] = contextvars.ContextVar("acting", default="")


def name_of(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


def _refusal(role: str, action: str, resource: str) -> str | None:
    """Why the role may not; None where it may. What was asked is recorded like every call."""
    context = iam_evaluator.EvalContext(
        principal_arn=role, principal_type="AssumedRole", principal_account=patches.ACCOUNT, action=action, resource_arn=resource, region=get_region()
    )
    allowed = iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(name_of(role), patches.ACCOUNT)).decision == "Allow"
    call = gate.Call(time.time(), action, get_region(), f"role {name_of(role)}", 200 if allowed else 403, None, None if allowed else action)
    gate.gate.record(call)
    return None if allowed else f"{role} is not authorized to perform: {action} on resource: {resource}"


def listed() -> dict[str, dict[str, Any]]:
    """Each role that has a policy of its own: for whom it is (targets: all that rules and schedules call under it), and its policies."""
    of = {name_of(record["config"]["Role"]): f"function {record['config']['FunctionName']}" for record in lambda_svc._functions._data.values()}
    of |= {name_of(machine["roleArn"]): f"machine {machine['name']}" for machine in stepfunctions._state_machines._data.values()}
    called: dict[str, set[str]] = {}
    for target in (target for targets in eventbridge._targets._data.values() for target in targets):
        if role := target.get("RoleArn"):
            called.setdefault(name_of(role), set()).add(target["Arn"])
    for schedule in scheduler._schedules._data.values():
        called.setdefault(name_of(schedule["Target"]["RoleArn"]), set()).add(schedule["Target"]["Arn"])
    of |= {role: f"target {' '.join(sorted(arns))}" for role, arns in called.items()}
    return {
        role["RoleName"]: {"of": of.get(role["RoleName"], ""), "policies": {name: _document(text) for name, text in role["InlinePolicies"].items()}}
        for role in iam._roles._data.values()
        if role.get("InlinePolicies")
    }


def _document(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str | bytes) else text


def put_policy(role: str, name: str, document: dict[str, Any]) -> None:
    """IAM's PutRolePolicy; a document without statements is refused there, so it is DeleteRolePolicy then. In force at once."""
    change = iam._put_role_policy if document["Statement"] else iam._delete_role_policy
    status, _, body = change({"RoleName": role, "PolicyName": name, "PolicyDocument": json.dumps(document)})
    if status != 200:
        raise ValueError(f"{role}, {name}: {body}")


def tick(machine: str) -> None:
    """The schedules whose target this state machine is come round now."""
    for (_, region, _), schedule in list(scheduler._schedules._data.items()):
        if schedule["Target"]["Arn"].endswith(f":{machine}"):
            patches.act_in(region)
            eventbridge._invoke_target(schedule["Target"], {"EventId": "tick", "Source": "aws.scheduler", "Detail": "{}", "Time": time.time()}, schedule)
    for (account, region, key), targets in list(eventbridge._targets._data.items()):
        rule = eventbridge._rules._data.get((account, region, key))
        if rule is None or not rule.get("ScheduleExpression") or not any(target["Arn"].endswith(f":{machine}") for target in targets):
            continue
        patches.act_in(region)
        event = {"EventId": "tick", "Source": "aws.events", "DetailType": "Scheduled Event", "Detail": "{}", "Time": time.time(), "Resources": [rule["Arn"]],
                 "EventBusName": "default", "Account": account, "Region": region}
        for target in targets:
            eventbridge._invoke_target(target, event, rule)


def apply() -> None:
    """Once, before the first request."""
    executed, called, started = stepfunctions._execute_task, stepfunctions._call_lambda, stepfunctions._invoke_nested_start_execution
    invoked = eventbridge._invoke_target

    def execute_task(state: dict[str, Any], raw_input: Any, execution: dict[str, Any], context: dict[str, Any]) -> Any:
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
        _acting.set(machine["roleArn"] if machine else "")
        return executed(state, raw_input, execution, context)

    def ask(action: str, resource: str) -> None:
        if refusal := _refusal(_acting.get(), action, resource):
            raise stepfunctions._ExecutionError("Lambda.AWSLambdaException" if action.startswith("lambda:") else "States.TaskFailed", refusal)

    def call_lambda(function: str, event: Any) -> Any:
        _, config, _ = lambda_svc._get_func_record_for_ref(function)
        ask("lambda:InvokeFunction", config["FunctionArn"] if config else function)
        return called(function, event)

    def start_execution(resource: str, given: Any) -> Any:
        ask("states:StartExecution", given["StateMachineArn"])
        return started(resource, given)

    # A target that may not be called is not called: EventBridge counts a failed invocation.
    def invoke_target(target: dict[str, Any], *rest: Any, **more: Any) -> Any:
        role = target.get("RoleArn")
        if role and ":states:" in target["Arn"] and _refusal(role, "states:StartExecution", target["Arn"]):
            return None
        return invoked(target, *rest, **more)

    stepfunctions._execute_task = execute_task
    stepfunctions._call_lambda = call_lambda
    stepfunctions._invoke_nested_start_execution = start_execution
    eventbridge._invoke_target = invoke_target
