"""What an operator does on the local stack: raises the alarm, watches, decides, reads. `state` is what stack.json says."""

import json
import pathlib
import urllib.request
from typing import Any

from aws import Account

State = dict[str, Any]


def control(state: State, path: str, asked: dict[str, Any] | None = None) -> dict[str, Any]:
    """The stack's own interface: see control.py."""
    request = urllib.request.Request(f"{state['control']}{path}", data=None if asked is None else json.dumps(asked).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        answered: dict[str, Any] = json.load(answer)
        return answered


def region_of(state: State, name: str) -> str:
    """`primary`, `standby`, `witness`, or a region."""
    return str(state["regions"].get(name, name))


def account_of(state: State) -> Account:
    return Account(state["endpoint"])


def alarm(state: State) -> None:
    """Raises the plan's alarm, as a person does who tries it: SetAlarmState."""
    cloudwatch = account_of(state).client("cloudwatch", state["regions"]["standby"])
    for value in ("OK", "ALARM"):
        cloudwatch.set_alarm_state(AlarmName=state["alarm"], StateValue=value, StateReason="raised by hand on the local stack")


def run(state: State) -> None:
    """Starts the failover by hand, with the input that an operator gives in the Step Functions console."""
    order = {"service": state["service"], "by": "Incident Commander", "reason": "started by hand on the local stack"}
    functions = account_of(state).client("stepfunctions", state["regions"]["standby"])
    print(functions.start_execution(stateMachineArn=state["outputs"]["RegionFailoverStateMachineArn"], input=json.dumps(order))["executionArn"])


def look(state: State) -> dict[str, str]:
    """One look of each probe now, and not at the next full minute; what each function says."""
    said = {}
    for role, stack in state["stacks"].items():
        payload = json.dumps({"vantage": state["regions"][role]})
        answer = account_of(state).client("lambda", state["regions"][role]).invoke(FunctionName=f"{stack}-probe", Payload=payload)
        said[f"{stack}-probe"] = answer["Payload"].read().decode()
    return said


def probe(state: State) -> None:
    """Lets both probes look."""
    for function, said in look(state).items():
        print(f"{function}: {said}")


def watch(state: State) -> None:
    """Where the runs are."""
    functions = account_of(state).client("stepfunctions", state["regions"]["standby"])
    machine = state["outputs"]["RegionFailoverStateMachineArn"]
    for execution in functions.list_executions(stateMachineArn=machine)["executions"]:
        pages = functions.get_paginator("get_execution_history").paginate(executionArn=execution["executionArn"])
        entered = [event["stateEnteredEventDetails"]["name"] for page in pages for event in page["events"] if "stateEnteredEventDetails" in event]
        print(f"{execution['status']:10} {execution['name']}  {' → '.join(dict.fromkeys(entered))}")


def questions(state: State) -> list[dict[str, Any]]:
    """The questions that nobody has answered."""
    found = account_of(state).client("dynamodb", state["regions"]["standby"]).scan(
        TableName=state["outputs"]["Table"], FilterExpression="begins_with(sk, :q) AND attribute_not_exists(answer)",
        ExpressionAttributeValues={":q": {"S": "question/"}}, ConsistentRead=True,
    )
    return [{**json.loads(item["value"]["S"]), "deadline": item.get("deadline", {}).get("S")} for item in found["Items"]]


def decide(state: State, choice: str | None, by: str, reason: str) -> None:
    """Lists what is asked; with an answer, gives it to every question that takes it, as the message says: by the function answer-question."""
    asked = questions(state)
    if not asked:
        print("nothing is asked")
    for question in asked:
        if choice is None or choice not in question["choices"]:
            print(f"{question['run']}  {question['name']}: {' or '.join(question['choices'])}; silence means {question['default']} at {question['deadline']}")
            continue
        answer = {"service": question["service"], "run": question["run"], "question": question["name"], "choice": choice, "by": by, "reason": reason}
        print(json.dumps(invoke(state, "AnswerQuestionFunctionName", answer)))


def invoke(state: State, output: str, payload: dict[str, Any]) -> Any:
    """A function's answer, by the output of the stack that names it."""
    client = account_of(state).client("lambda", state["regions"]["standby"])
    answer = client.invoke(FunctionName=state["outputs"][output], Payload=json.dumps(payload).encode())
    return json.loads(answer["Payload"].read())


def deaf(state: State) -> None:
    """From here on, no alarm's event reaches Muster: its rules are disabled."""
    events = account_of(state).client("events", state["regions"]["standby"])
    for rule in events.list_rules()["Rules"]:
        if "aws.cloudwatch" in rule.get("EventPattern", ""):
            events.disable_rule(Name=rule["Name"])
            print(rule["Name"])


def inbox(state: State) -> None:
    """What people were told: on call, then in the chat."""
    sqs = account_of(state).client("sqs", state["regions"]["standby"])
    while messages := sqs.receive_message(QueueUrl=state["inbox"], MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            told = json.loads(message["Body"])
            print(f"{told['Timestamp']}  {told.get('Subject')}\n{told['Message']}\n")
            sqs.delete_message(QueueUrl=state["inbox"], ReceiptHandle=message["ReceiptHandle"])
    for text in control(state, "/chat")["told"]:
        print(f"chat  {text}\n")


def logs(state: State, function: str) -> None:
    """What a function has written, oldest first."""
    events = account_of(state).client("logs", state["regions"]["standby"]).get_paginator("filter_log_events")
    for page in events.paginate(logGroupName=f"/aws/lambda/{state['stacks']['standby']}-{function}"):
        for event in page["events"]:
            print(event["message"].rstrip())


def reports(state: State) -> None:
    """The reports, written to the stack's directory."""
    s3, bucket = account_of(state).client("s3", state["regions"]["standby"]), state["outputs"]["Bucket"]
    for found in s3.list_objects_v2(Bucket=bucket, Prefix="reports/").get("Contents", []):
        file = pathlib.Path(state["directory"]) / found["Key"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
        print(file)
