"""Lints the policies of the functions and state machines in the templates with parliament.

Parliament knows which resources and condition keys each action of each service has. It is given every policy twice: with all of the
template's conditions true and with all of them false. Any finding fails.

usage: policies.py TEMPLATE...
"""

import json
import re
import sys

import yaml
from parliament import analyze_policy_string

ACCOUNT, REGION = "123456789012", "us-west-2"
NAMES = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "muster-live",
    "PrimaryRegion": "us-east-1",
    "HomeRegion": REGION,
    "HomeStack": "muster-live",
    "Bucket": "muster-live-bucket",
    "Table": "muster-live-table",
    "ServiceTag": "*",
    "HostedZoneArns": ["arn:aws:route53:::hostedzone/Z0123456789"],
    "BackupBuckets": ["arn:aws:s3:::dumps", "arn:aws:s3:::dumps/*"],
    "ExportRoles": [f"arn:aws:iam::{ACCOUNT}:role/archive"],
    "Backup": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:muster-live-backup",
    "RestoreTest": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:muster-live-restore-test",
    "BackupSchedules.Arn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/muster-live-backup",
    "DeadLetters.Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:muster-live-dead-letters",
    "Announce": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:muster-live-announce",
    "Bucket.Arn": "arn:aws:s3:::muster-live-bucket",
    "Table.Arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/muster-live-table",
}
# Findings that are right about nothing, each with the reason.
ACCEPTED = {
    # The action takes an execution of either kind of machine; parliament wants an ARN of each. Runs are executions of STANDARD machines.
    ("RESOURCE_MISMATCH", "states:DescribeExecution"),
    # A request is about what is snapshotted, which its own tags bound, and about the snapshot, which is not there yet: two statements, one of each.
    ("RESOURCE_MISMATCH", "rds:CreateDBSnapshot"),
    ("RESOURCE_MISMATCH", "rds:CreateDBClusterSnapshot"),
    ("RESOURCE_MISMATCH", "elasticache:CreateSnapshot"),
    # Likewise what is restored, the clone that is made of it, and where it is put: three statements.
    ("RESOURCE_MISMATCH", "rds:RestoreDBInstanceFromDBSnapshot"),
    # Composite alarms are shown only to who may see all alarms. Source: the API reference of CloudWatch, DescribeAlarms.
    ("RESOURCE_STAR", "cloudwatch:DescribeAlarms"),
}
ABSENT = object()


class Tagged(yaml.SafeLoader):
    """Keeps CloudFormation's short forms: `!Sub x` is {"Fn::Sub": x}."""


def short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": value}


Tagged.add_multi_constructor("!", short_form)


def name(key):
    if key in NAMES:
        return NAMES[key]
    if key.endswith("Function.Arn"):
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{key}"
    raise SystemExit(f"policies.py: what `{key}` stands for is not known: add it to NAMES")


def resolve(value, conditions):
    """The value with its intrinsic functions worked out, as CloudFormation would."""
    if isinstance(value, list):
        return [item for item in (resolve(one, conditions) for one in value) if item is not ABSENT]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (function, argument), = value.items()
        if function == "Ref":
            return ABSENT if argument == "AWS::NoValue" else name(argument)
        if function == "Fn::GetAtt":
            return name(argument)
        if function == "Fn::Sub":
            return re.sub(r"\$\{([^}]+)\}", lambda found: name(found[1]), argument)
        if function == "Fn::If":
            return resolve(argument[1] if conditions else argument[2], conditions)
    resolved = {key: resolve(one, conditions) for key, one in value.items()}
    return {key: one for key, one in resolved.items() if one is not ABSENT}


def is_accepted(finding):
    details = finding.detail if isinstance(finding.detail, list) else [finding.detail]
    actions = [str(one.get("action")) if isinstance(one, dict) else str(one) for one in details]
    return all((finding.issue, action) in ACCEPTED for action in actions)


def main(templates):
    linted, failed = 0, False
    for path in templates:
        with open(path, encoding="utf-8") as file:
            resources = yaml.load(file, Tagged)["Resources"]
        for resource, description in resources.items():
            for policy in description["Properties"].get("Policies", []):
                for conditions in (True, False):
                    # A role of our own has its policies under names.
                    document = json.dumps(resolve(policy.get("PolicyDocument", policy), conditions))
                    findings = analyze_policy_string(document).findings
                    linted += 1
                    for finding in (one for one in findings if not is_accepted(one)):
                        failed = True
                        print(f"{path}: {resource}: {finding.issue}: {finding.detail} {finding.location}", file=sys.stderr)
    if linted == 0:
        raise SystemExit("policies.py: found no policy")
    if failed:
        raise SystemExit(1)
    print(f"{linted} policies, no findings")


main(sys.argv[1:])
