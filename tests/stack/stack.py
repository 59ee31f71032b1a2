#!/usr/bin/env python3
"""The local stack: AWS on one machine, with the real template and the real binaries. README.md says how it is made."""

import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any

import caches
import databases
import deploy
import estate
import operate
import plans
from aws import KEY, SECRET, Account
from botocore.exceptions import EndpointConnectionError
from state import Directory, end, free_port

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
STACK, WITNESS = "muster-live", "muster-witness"
#: The two regions' addresses for their application and their database: a name leads to an address, and not to a port.
ADDRESSES = {"primary": "127.0.0.1", "standby": "127.0.0.2"}
NAMES = {"primary": "portal-primary.basecoat.test", "standby": "portal-standby.basecoat.test", "public": "portal.basecoat.test"}


def start(directory: Directory, variant: str, target: pathlib.Path, waits: float, only_estate: bool, still: bool) -> dict[str, Any]:
    """Everything, from nothing. Whatever fails, `stop` finds what was started."""
    if directory.read():
        raise SystemExit(f"a stack is there already: {directory.path}; end it with `stop`")
    began = time.monotonic()
    root = pathlib.Path(tempfile.mkdtemp(prefix="muster-stack-"))
    root.chmod(0o755)
    ports = {name: free_port("127.0.0.1") for name in ("gateway", "control", "dns")}
    ports |= {name: free_port(*ADDRESSES.values()) for name in ("application", "database", "cache")}
    variables = {
        **{f"{role.upper()}_APP": f"http://{name}:{ports['application']}" for role, name in NAMES.items()},
        "PUBLIC_NAME": NAMES["public"],
        "TOPIC": "arn:aws:sns:us-west-2:123456789012:basecoat-on-call",
        # Known only when the names are made.
        **{"ZONE": "Z0", "HEALTH_CHECK": "6f1b0a52-5f0e-4c53-9d5d-0c1a2b3c4d5e", "STANDBY_IMAGE": "ami-0"},
    }
    directory.write(root=str(root), variant=variant, variables=variables)

    def read_plan() -> dict[str, Any]:
        filled = directory.path / "plan.yaml"
        filled.write_text(plans.fill(HERE / "plan.yaml", variant, variables))
        return plans.compile_plan(target / "examples" / "canonical", filled)

    plan = read_plan()
    regions = plan["regions"]
    primary = databases.create(root, plan["databases"][0]["primary"], regions["primary"], ADDRESSES["primary"], ports["database"])
    directory.write(servers=[primary.as_json()])
    standby = databases.replicate(root, primary, plan["databases"][0]["standby"]["id"], regions["standby"], ADDRESSES["standby"])
    directory.write(servers=[primary.as_json(), standby.as_json()])
    caching = plan["caches"][0]["standby"]["id"]
    cache = caches.start(root, caching, regions["standby"], ADDRESSES["standby"], ports["cache"])
    directory.write(caches=[cache.as_json()])
    say(began, f"PostgreSQL: {primary.instance} on {primary.address}, its replica {standby.instance} on {standby.address}, port {primary.port}")
    say(began, f"Redis: {cache.group} on {cache.address}, port {cache.port}")

    account = Account(f"http://127.0.0.1:{ports['gateway']}")
    emulate(directory, root, ports, plan, [primary, standby], [cache], account, waits)
    directory.write(endpoint=account.endpoint, control=f"http://127.0.0.1:{ports['control']}", dns=f"127.0.0.1:{ports['dns']}")
    say(began, f"AWS: {account.endpoint}")
    if still:
        operate.control(directory.read(), "/still", {})

    images = {region: estate.make_image(account, region, "basecoat") for region in (regions["primary"], regions["standby"])}
    made = estate.make_names(account, plan, ADDRESSES)
    variables |= {"ZONE": made.zone, "HEALTH_CHECK": made.health_check, "STANDBY_IMAGE": images[regions["standby"]]}
    plan = read_plan()
    estate.make(account, plan, {regions["primary"]: primary, regions["standby"]: standby}, images, f"http://127.0.0.1:{ports['control']}/chat")
    say(began, f"the estate of {plan['service']}, in {regions['primary']} and {regions['standby']}")

    state = directory.write(
        plan=str(directory.path / "plan.yaml"), service=plan["service"], regions=regions, alarm=plan["triggers"]["alarms"][0],
        urls={role: f"http://{name}:{ports['application']}" for role, name in NAMES.items()}, addresses=ADDRESSES,
        environment={**account.environment(regions["standby"]), "MUSTER_DNS": f"127.0.0.1:{ports['dns']}"},
        inbox=account.client("sqs", regions["standby"]).get_queue_url(QueueName=estate.inbox("basecoat-on-call"))["QueueUrl"],
    )
    if only_estate:
        say(began, "and no Muster: deploy it, and then `adopt` it")
        return state
    state = install(directory, account, target, regions, made.zone)
    say(began, f"{STACK} in {regions['standby']}, {WITNESS} in {regions['witness']}, by change set")
    push(state, target)
    say(began, f"the plan of {plan['service']} is in force")
    # The last samples from before an outage are what a failover of a dark primary goes by.
    operate.look(state)
    say(began, "both probes have looked")
    return state


def say(began: float, what: str) -> None:
    print(f"{time.monotonic() - began:5.1f} s  {what}", flush=True)


def emulate(
    directory: Directory,
    root: pathlib.Path,
    ports: dict[str, int],
    plan: dict[str, Any],
    servers: list[databases.Server],
    groups: list[caches.Server],
    account: Account,
    waits: float,
) -> None:
    """Starts the process that is AWS, and waits until it answers."""
    regions = plan["regions"]
    serving = next(part for part in plan["compute"] if part["kind"] == "autoScalingGroup")
    parameter = next(item["parameter"] for item in plan["configuration"] if item["kind"] == "ssmParameter")
    balancers = {check["dimensions"]["LoadBalancer"] for check in plan["checks"] if check["kind"] == "metric"}
    configuration = {
        "root": str(root),
        "control": ports["control"],
        "dns": ports["dns"],
        "publicName": NAMES["public"],
        "regions": [regions[role] for role in ("primary", "standby", "witness")],
        "servers": [server.as_json() for server in servers],
        "caches": [group.as_json() for group in groups],
        "quarantine": [group for database in plan["databases"] for group in closed_groups(database)],
        "applications": [
            {"address": ADDRESSES[role], "port": ports["application"], "region": regions[role], "group": serving[role]["group"], "parameter": parameter}
            for role in ("primary", "standby")
        ],
        "loadBalancers": [{"region": regions["standby"], "name": name} for name in sorted(balancers)],
        "globalDatastores": [
            {"id": cache["standby"]["globalId"], "primary": [regions["primary"], cache["primary"]], "secondary": [regions["standby"], cache["standby"]["id"]]}
            for cache in plan["caches"]
        ],
    }
    file = directory.path / "configuration.json"
    file.write_text(json.dumps(configuration, indent=2))
    temporary = root / "tmp"
    temporary.mkdir()
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "TMPDIR": str(temporary),
        "GATEWAY_PORT": str(ports["gateway"]),
        "BIND_HOST": "127.0.0.1",
        "AWS_ENDPOINT_URL": account.endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "MINISTACK_ACCOUNT_ID": "123456789012",
        "MINISTACK_REGION": regions["standby"],
        "AUTH": "true",
        "SFN_WAIT_SCALE": str(waits),
        "LOG_LEVEL": "WARNING",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    with (directory.path / "emulator.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "emulator.py"), str(file)],
            env=environment, cwd=root, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )
    directory.write(emulator=process.pid)
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"{account.endpoint}/_ministack/health", timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"the emulators do not answer: see {directory.path}/emulator.log")


def closed_groups(database: dict[str, Any]) -> list[str]:
    """The security groups that let in Muster's functions, and no client: of a fenced primary, of a clone."""
    return [database["fence"]["securityGroup"], *database.get("restoreTest", {}).get("securityGroups", [])]


def install(directory: Directory, account: Account, target: pathlib.Path, regions: dict[str, str], zone: str) -> dict[str, Any]:
    """The stack of the standby region, and its witness."""
    here = {"DnsServer": directory.read()["dns"], "Architecture": "arm64" if platform.machine() == "aarch64" else "x86_64"}
    outputs: dict[str, dict[str, str]] = {}
    for stack, role, file in ((STACK, "standby", "template.yaml"), (WITNESS, "witness", "template-witness.yaml")):
        region, bucket = regions[role], f"{stack}-packages"
        account.client("s3", region).create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
        template = deploy.package(account, region, bucket, PROJECT / file, target)
        if stack == STACK:
            parameters = {
                "PrimaryRegion": regions["primary"], "AlarmPrefix": "basecoat-", "HostedZoneArns": f"arn:aws:route53:::hostedzone/{zone}",
                "BackupBuckets": ",".join(f"arn:aws:s3:::{bucket},arn:aws:s3:::{bucket}/*" for bucket in (plans.DUMPS, plans.DUMPS_THERE)),
            }
        else:
            home = outputs[STACK]
            parameters = {"HomeRegion": regions["standby"], "HomeStack": STACK, "Table": home["Table"], "Bucket": home["Bucket"]}
        outputs[stack] = deploy.deploy(account, region, stack, template, {**parameters, **here}, bucket)
    return directory.write(outputs=outputs[STACK], stacks={"standby": STACK, "witness": WITNESS})


def adopt(directory: Directory, account: Account) -> None:
    """Learns of a stack and a witness that were deployed by other means: by SAM itself, on a stack that has only the estate."""
    regions, outputs = directory.read()["regions"], {}
    for stack, role in ((STACK, "standby"), (WITNESS, "witness")):
        [described] = account.client("cloudformation", regions[role]).describe_stacks(StackName=stack)["Stacks"]
        outputs[stack] = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    directory.write(outputs=outputs[STACK], stacks={"standby": STACK, "witness": WITNESS})


def push(state: dict[str, Any], target: pathlib.Path) -> None:
    """Puts the plan in force, as an operator does."""
    environment = {**os.environ, **state["environment"], "NO_COLOR": "1"}
    subprocess.run([target / "muster", "push", "--yes", "--stack", STACK, state["plan"]], env=environment, check=True, capture_output=True, text=True)


def stop(directory: Directory) -> None:
    """Leaves nothing behind: no process, no port, no file."""
    state = directory.read()
    if not state:
        print("no stack is there")
        return
    if "emulator" in state:
        end(state["emulator"], str(HERE / "emulator.py"))
    # The emulator may have made some, and may have died.
    databases.stop_all(pathlib.Path(state["root"]))
    for cache in state.get("caches", []):
        end(cache["process"], caches.SERVER)
    shutil.rmtree(state["root"], ignore_errors=True)
    directory.remove()
    print("ended, and removed")


#: What people are asked, by the plan's variant.
ASKED = {
    "automatic": ": nothing, unless a phase fails",
    "holding": "; then `decide skip`, `decide retry` or `decide abort`",
    "veto": "; within 30 seconds `decide veto`, or else it fails over",
    "backups": ": nothing, unless a phase fails",
    "restores": ": nothing, unless a phase fails",
    "policies": "; within 30 seconds `decide veto`, or else it fails over",
}


def next_steps(state: dict[str, Any]) -> str:
    asked = ASKED[state["variant"]]
    python = pathlib.Path(sys.executable)
    python = python.relative_to(PROJECT) if python.is_relative_to(PROJECT) else python
    command = f"{python} {os.path.relpath(__file__)}"
    return f"""
The service   {state['urls']['public']}  (names: {state['dns']}; primary {state['addresses']['primary']}, standby {state['addresses']['standby']})
AWS           {state['endpoint']}  (keys: {KEY} / {SECRET})
All of it     {state['directory']}/stack.json

Lose the primary region, and let it be noticed:
  {command} dark primary
  {command} probe              look now, and not at the next full minute; do it twice, some seconds apart
  {command} alarm              or `run`, by hand; or do nothing, and wait for three bad minutes
Watch, decide, and read:
  {command} watch              where the run is
  {command} inbox              what people were told
  {command} decide             what is asked{asked}
  {command} reports            what really happened, once it has ended: open report.html
Then:
  {command} light primary      the primary region comes back
  {command} status
  make local-stop
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=pathlib.Path, default=PROJECT / ".tools" / "stack", help="the stack's directory; several stacks may run at once")
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start", help="start everything")
    starting.add_argument("--plan", choices=sorted(plans.VARIANTS), default="automatic", help="the variant of plan.yaml")
    starting.add_argument("--target", type=pathlib.Path, default=PROJECT / "target" / "debug", help="where cargo put the binaries")
    starting.add_argument("--waits", type=float, default=0.1, help="how long a Wait of a state machine is, as a share of what it says")
    starting.add_argument("--only-estate", action="store_true", help="without Muster")
    starting.add_argument("--still", action="store_true", help="schedules and alarms rest from the beginning")
    plain = {
        "stop": "end everything",
        "adopt": "learn of what SAM itself deployed on `start --only-estate`",
        "status": "what runs",
        "alarm": "raise the plan's alarm",
        "run": "start the failover by hand",
        "probe": "let the probes look",
        "watch": "where the runs are",
        "inbox": "what people were told",
        "reports": "fetch the reports",
        "deaf": "let no alarm's event reach Muster",
    }
    for name, what in plain.items():
        commands.add_parser(name, help=what)
    for name in ("dark", "light"):
        commands.add_parser(name, help=f"make a region {name}").add_argument("region", nargs="?", default="primary")
    deciding = commands.add_parser("decide", help="answer the questions that are open; without an answer, list them")
    deciding.add_argument("choice", nargs="?")
    deciding.add_argument("--by", default="Incident Commander")
    deciding.add_argument("--reason", default="decided by hand on the local stack")
    commands.add_parser("logs", help="what a function has written").add_argument("function", help="such as open-run")
    fault = commands.add_parser("fault", help="let a call of a function's go wrong")
    fault.add_argument("kind", choices=["applied", "lost", "throttled", "kill"])
    fault.add_argument("action", help="such as rds:PromoteReadReplica")
    given = parser.parse_args()

    directory = Directory(given.state)
    if given.command == "start":
        try:
            start(directory, given.plan, given.target, given.waits, given.only_estate, given.still)
        except (deploy.NotDeployed, subprocess.CalledProcessError) as error:
            raise SystemExit(f"{error}\n{getattr(error, 'stderr', '') or ''}\nwhat was started is still there: end it with `stop`") from None
        print(next_steps(directory.write(directory=str(directory.path))))
        return
    if given.command == "stop":
        stop(directory)
        return
    state = directory.read()
    if not state:
        raise SystemExit("no stack is there: make local")
    if given.command == "adopt":
        adopt(directory, operate.account_of(state))
    elif given.command == "status":
        print(json.dumps(operate.control(state, "/state"), indent=2))
    elif given.command in ("dark", "light"):
        operate.control(state, f"/{given.command}", {"region": operate.region_of(state, given.region)})
    elif given.command == "fault":
        operate.control(state, "/fault", {"kind": given.kind, "action": given.action})
    elif given.command == "logs":
        operate.logs(state, given.function)
    elif given.command == "decide":
        operate.decide(state, given.choice, given.by, given.reason)
    else:
        getattr(operate, given.command)(state)


if __name__ == "__main__":
    try:
        main()
    except (EndpointConnectionError, urllib.error.URLError) as error:
        raise SystemExit(f"the stack does not answer: {error}; end it with `stop`, and see its emulator.log") from None
