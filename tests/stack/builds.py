"""CodeBuild: the commands of a project's buildspec are really run, on this machine.

ministack keeps a record of a build, which says at once that it succeeded. What AWS does otherwise is put right here. Source, where none is named: the
CodeBuild API reference, the operation's own page.
"""

import contextvars
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from typing import Any

import databases
import patches
import yaml
from aws import Account
from ministack.core.responses import error_response_json, get_region, json_response
from ministack.services import codebuild

#: So long the same token starts no second build.
_TOKEN_SECONDS = 300

_account = Account(f"http://127.0.0.1:{os.environ.get('GATEWAY_PORT')}")
#: Where builds work.
_root = pathlib.Path()
#: Region and token -> when, what was asked for, and the build's id.
_tokens: dict[tuple[str, str], tuple[float, dict[str, Any], str]] = {}


def _start(asked: dict[str, Any]) -> Any:
    project = codebuild._projects.get(asked["projectName"])
    if project is None:
        return error_response_json("ResourceNotFoundException", f"Project cannot be found: {asked['projectName']}", 400)
    minutes = asked.get("timeoutInMinutesOverride", 60)
    if not 5 <= minutes <= 2160:
        return error_response_json("InvalidInputException", "Invalid timeoutInMinutesOverride", 400)
    key = (get_region(), asked.get("idempotencyToken", ""))
    at, earlier, known = _tokens.get(key, (0.0, {}, ""))
    if key[1] and time.time() - at < _TOKEN_SECONDS:
        if earlier != asked:
            return error_response_json("InvalidInputException", "The token was used with other parameters", 400)
        return json_response({"build": codebuild._builds[known]})
    build = codebuild._make_build_record(project, codebuild._build_id(project["name"]))
    build.pop("endTime")
    build.update(buildStatus="IN_PROGRESS", currentPhase="SUBMITTED", phases=[], timeoutInMinutes=minutes)
    build["logs"]["deepLink"] = f"file://{_directory(build)}/log"
    codebuild._builds[build["id"]] = build
    _tokens[key] = (time.time(), asked, build["id"])
    # What is kept by region is found by the request's context.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_work, build, project, asked.get("environmentVariablesOverride", [])), daemon=True).start()
    return json_response({"build": build})


def _directory(build: dict[str, Any]) -> pathlib.Path:
    return _root / build["id"].replace(":", "-")


def _work(build: dict[str, Any], project: dict[str, Any], overrides: list[dict[str, str]]) -> None:
    directory = _directory(build)
    directory.mkdir(parents=True)
    until = time.monotonic() + build["timeoutInMinutes"] * 60
    specification = yaml.safe_load(project["source"]["buildspec"])
    declared = [*project["environment"].get("environmentVariables", []), *overrides]
    # What is asked for wins over the project's, and that over the buildspec's. Source: the user guide, "Environment variables in build environments".
    environment = {
        **os.environ, **_account.environment(get_region()), "PATH": f"{_tools()}:{os.environ['PATH']}",
        **specification.get("env", {}).get("variables", {}), **{one["name"]: _value(one) for one in declared},
    }
    with (directory / "log").open("w") as log:
        for phase in ("install", "pre_build", "build", "post_build"):
            build["currentPhase"] = phase.upper()
            for command in specification["phases"].get(phase, {}).get("commands", []):
                why = _run(command, _resolved(environment), directory, log, until - time.monotonic())
                if why:
                    message = f"Error while executing command: {command}. Reason: {why}"
                    _end(build, "TIMED_OUT" if why == "time-out" else "FAILED", phase.upper(), message)
                    return
    _end(build, "SUCCEEDED", "COMPLETED", "")


def _run(command: str, environment: dict[str, str], directory: pathlib.Path, log: Any, seconds: float) -> str:
    try:
        code = subprocess.run(["sh", "-c", command], env=environment, cwd=directory, stdout=log, stderr=log, timeout=max(seconds, 0), check=False).returncode
    except subprocess.TimeoutExpired:
        return "time-out"
    return f"exit status {code}" if code else ""


def _end(build: dict[str, Any], status: str, phase: str, message: str) -> None:
    contexts = [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": message}] if message else []
    build["phases"] = [{"phaseType": phase, "phaseStatus": status, "contexts": contexts}]
    build.update(endTime=time.time(), currentPhase="COMPLETED", buildStatus=status)


def _value(variable: dict[str, str]) -> str:
    if variable.get("type") != "SECRETS_MANAGER":
        return variable["value"]
    secret, _, key = variable["value"].partition(":")
    found: str = json.loads(_account.client("secretsmanager", get_region()).get_secret_value(SecretId=secret)["SecretString"])[key]
    return found


def _resolved(environment: dict[str, str]) -> dict[str, str]:
    """A restored instance is known here by an address. On RDS it is a name, which the VPC's resolver knows: libpq is told both."""
    for (region, name), server in list(patches.servers.items()):
        if region == get_region() and server.address == environment.get("PGHOST"):
            return {**environment, "PGHOST": f"{name}.local", "PGHOSTADDR": server.address}
    return environment


def _tools() -> pathlib.Path:
    """The programs of the project's image: PostgreSQL's newest, and of `aws` what a buildspec here needs."""
    tools = _root / "tools"
    if not tools.exists():
        tools.mkdir(parents=True)
        for name in ("createdb", "pg_restore", "psql"):
            (tools / name).symlink_to(databases.binary(name))
        (tools / "aws").write_text(f"#!/bin/sh\nexec {sys.executable} {pathlib.Path(__file__).with_name('s3_copy.py')} \"$@\"\n")
        (tools / "aws").chmod(0o755)
    return tools


def dump(asked: dict[str, Any]) -> None:
    """Somebody's job: the primary's database goes into a bucket, by pg_dump; cut off after so many bytes, where that is asked for."""
    server = next(server for server in patches.servers.values() if server.region == asked["from"] and not databases.is_standby(server))
    content = databases.dump(server).database
    _account.client("s3", asked["region"]).put_object(Bucket=asked["bucket"], Key=asked["key"], Body=content[: asked.get("bytes", len(content))])


def apply(root: pathlib.Path) -> None:
    """Once, before the first request. Builds work below `root`."""
    global _root
    _root = root / "builds"
    codebuild._start_build = _start
