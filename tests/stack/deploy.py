"""Packages and deploys the real templates with the real binaries, as `sam package` and `sam deploy` do: by change set."""

import os
import pathlib
import re
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws import Account

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
PATIENCE_SECONDS = 300


class NotDeployed(Exception):
    """With the reasons that CloudFormation gave."""


def zipped(binary: pathlib.Path) -> bytes:
    """A function's package: the binary, as `bootstrap`, executable. Kept beside the binaries, and made again when they are."""
    kept = binary.parent / "packages" / f"{binary.name}.zip"
    if not kept.exists() or kept.stat().st_mtime < binary.stat().st_mtime:
        entry = zipfile.ZipInfo("bootstrap", (2000, 1, 1, 0, 0, 0))
        entry.external_attr, entry.compress_type = 0o755 << 16, zipfile.ZIP_DEFLATED
        kept.parent.mkdir(exist_ok=True)
        unfinished = kept.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(unfinished, "w", compresslevel=1) as archive:
            archive.writestr(entry, binary.read_bytes())
        unfinished.rename(kept)
    return kept.read_bytes()


def package(account: Account, region: str, bucket: str, template: pathlib.Path, binaries: pathlib.Path) -> str:
    """The template with its code and its definitions uploaded, and pointing there."""
    text, s3 = template.read_text(), account.client("s3", region)
    names = sorted(set(re.findall(r"CodeUri: target/lambda/([a-z-]+)/", text)))
    definitions = sorted(set(re.findall(r"DefinitionUri: (statemachines/[a-z.-]+\.json)", text)))
    missing = [name for name in names if not (binaries / name).exists()]
    if missing:
        raise NotDeployed(f"{binaries} has no {', '.join(missing)}: cargo build --package muster-functions")

    def upload(name: str) -> None:
        s3.put_object(Bucket=bucket, Key=f"{name}.zip", Body=zipped(binaries / name))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upload, names))
    for definition in definitions:
        s3.put_object(Bucket=bucket, Key=definition, Body=(template.parent / definition).read_bytes())
    text = re.sub(r"CodeUri: target/lambda/([a-z-]+)/", rf"CodeUri: s3://{bucket}/\1.zip", text)
    return re.sub(r"DefinitionUri: (statemachines/[a-z.-]+\.json)", rf"DefinitionUri: {{Bucket: {bucket}, Key: \1}}", text)


def deploy(account: Account, region: str, stack: str, template: str, parameters: dict[str, str], bucket: str) -> dict[str, str]:
    """A change set, created and executed; returns the stack's outputs."""
    cloudformation, s3 = account.client("cloudformation", region), account.client("s3", region)
    s3.put_object(Bucket=bucket, Key=f"{stack}.yaml", Body=template.encode())
    cloudformation.create_change_set(
        StackName=stack, ChangeSetName="local", ChangeSetType="CREATE", Capabilities=CAPABILITIES,
        TemplateURL=f"{account.endpoint}/{bucket}/{stack}.yaml",
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    _wait(lambda: cloudformation.describe_change_set(StackName=stack, ChangeSetName="local"), "CREATE_COMPLETE", "Status", "StatusReason")
    cloudformation.execute_change_set(StackName=stack, ChangeSetName="local")
    try:
        described = _wait(lambda: cloudformation.describe_stacks(StackName=stack)["Stacks"][0], "CREATE_COMPLETE", "StackStatus", "StackStatusReason")
    except NotDeployed as error:
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        reasons = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in events if event["ResourceStatus"].endswith("FAILED")]
        raise NotDeployed("\n".join([str(error), *reasons])) from None
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def _wait(look: Any, wanted: str, status: str, reason: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        seen = look()
        if seen[status] == wanted:
            return seen
        if seen[status].endswith(("FAILED", "ROLLBACK_COMPLETE")):
            raise NotDeployed(f"{seen[status]}: {seen.get(reason)}")
        time.sleep(0.3)
    raise NotDeployed(f"still {seen[status]} after {PATIENCE_SECONDS} seconds")
