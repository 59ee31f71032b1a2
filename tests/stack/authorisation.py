"""What IAM knows of a request on AWS, and ministack's evaluator does not: resources, tags and condition keys.

Source of every rule: AWS's Service Authorization Reference, the page of the service.
"""

import contextvars
import json
from collections.abc import Iterator, Mapping
from typing import Any

import cbor2
import gate
from ministack import app
from ministack.core import iam_actions, iam_evaluator, router
from ministack.core.responses import get_account_id, get_region
from ministack.services import codebuild, dynamodb, kms, tagging
from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.rds.models import rds_backends

#: The resources of a request beyond the first: every one of them has to be allowed. An action beside one is what that resource needs besides.
_others: contextvars.ContextVar[tuple[tuple[str, str], ...]] = contextvars.ContextVar("others", default=())


#: The action that was missed, where it is another than the request's own.
_missed: contextvars.ContextVar[str] = contextvars.ContextVar("missed", default="")


def _json(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _first(params: dict[str, Any], name: str) -> str:
    value = params.get(name, "")
    return value[0] if isinstance(value, list) else value


def _resources(service: str, headers: dict[str, str], body: bytes, params: dict[str, Any], region: str, account: str) -> list[str]:
    """The ARNs that AWS would check; none: as ministack has it."""
    if service == "monitoring":
        # Metrics are no resources, and who lists alarms asks for all of them. (Alarms are changed by the operator alone, for whom nothing is checked.)
        return ["*"]
    if service == "rds" and not _first(params, "DBInstanceIdentifier") and _first(params, "Action") == "DescribeDBInstances":
        # A list, filtered or not, is a request on all instances of the region.
        return [f"arn:aws:rds:{region}:{account}:db:*"]
    if service == "rds" and (named := _first(params, "ResourceName")):
        # Tags of whatever it is.
        return [named]
    if service == "rds" and _first(params, "Action") == "RestoreDBInstanceFromDBSnapshot":
        return _restore(params, f"arn:aws:rds:{region}:{account}", rds_backends[account][region].database_snapshots)
    if service == "rds" and "Snapshot" in _first(params, "Action"):
        return _snapshots(params, f"arn:aws:rds:{region}:{account}")
    if service == "rds" and "AutomatedBackups" in _first(params, "Action"):
        return [f"arn:aws:rds:{region}:{account}:auto-backup:*", f"arn:aws:rds:{region}:{account}:db:*"]
    if service == "codebuild" and (ids := _json(body).get("ids")):
        # A build is authorised on its project.
        return sorted({f"arn:aws:codebuild:{region}:{account}:project/{one.partition(':')[0]}" for one in ids})
    if service == "kms" and (key := kms._resolve_key(_json(body).get("KeyId", ""))):
        # Whatever it is called by.
        return [key["Arn"]]
    if service == "elasticache" and "GlobalReplicationGroup" in _first(params, "Action"):
        # Global datastores have no region, and no tags.
        return [f"arn:aws:elasticache::{account}:globalreplicationgroup:{_first(params, 'GlobalReplicationGroupId') or '*'}"]
    if service == "autoscaling":
        group = autoscaling_backends[account][region].autoscaling_groups.get(_first(params, "AutoScalingGroupName"))
        return [group.arn] if group else []
    if service == "ec2" and _first(params, "Action") in ("CreateLaunchTemplateVersion", "ModifyLaunchTemplate"):
        name, templates = _first(params, "LaunchTemplateName"), ec2_backends[account][region]
        identity = templates.launch_template_name_to_ids.get(name, "*") if name else _first(params, "LaunchTemplateId")
        return [f"arn:aws:ec2:{region}:{account}:launch-template/{identity}"]
    if service == "ssm" and headers.get("x-amz-target", "").endswith(".GetParameters"):
        return [f"arn:aws:ssm:{region}:{account}:parameter/{name.lstrip('/')}" for name in _json(body).get("Names", [])]
    return []


def _snapshots(params: dict[str, Any], here: str) -> list[str]:
    """What a request about snapshots of instances is about: a list, filtered or not, about all of them."""
    action, name = _first(params, "Action"), _first(params, "DBSnapshotIdentifier")
    if action == "CreateDBSnapshot":
        return [f"{here}:db:{_first(params, 'DBInstanceIdentifier')}", f"{here}:snapshot:{name}"]
    if action == "CopyDBSnapshot":
        source = _first(params, "SourceDBSnapshotIdentifier")
        return [source if source.startswith("arn:") else f"{here}:snapshot:{source}", f"{here}:snapshot:{_first(params, 'TargetDBSnapshotIdentifier')}"]
    if action == "DescribeDBSnapshots":
        return [f"{here}:db:*", f"{here}:snapshot:*"]
    return [f"{here}:snapshot:{name}"] if name else []


def _restore(params: dict[str, Any], here: str, snapshots: Mapping[str, Any]) -> list[str]:
    """What a restore is made of, the groups that it is put into, and last what it makes. A group that is not named is the default one: source, the RDS user
    guide, "Identity-based policy examples", whose policy for creating instances allows `og:default*`, `pg:default*` and `subgrp:default`."""
    source = _first(params, "DBSnapshotIdentifier").rsplit(":", 1)[-1]
    engine, version = (snapshots[source].engine, snapshots[source].engine_version.partition(".")[0]) if source in snapshots else ("", "")
    return [
        f"{here}:snapshot:{source}",
        f"{here}:subgrp:{_first(params, 'DBSubnetGroupName') or 'default'}",
        f"{here}:og:{_first(params, 'OptionGroupName') or f'default:{engine}-{version}'}",
        f"{here}:pg:{_first(params, 'DBParameterGroupName') or f'default.{engine}{version}'}",
        f"{here}:db:{_first(params, 'DBInstanceIdentifier')}",
    ]


#: The requests of RDS that make something, which is the last of their resources.
_MAKING = ("CreateDBSnapshot", "CopyDBSnapshot", "RestoreDBInstanceFromDBSnapshot")


def _tagging(service: str, params: dict[str, Any], resources: list[str]) -> list[tuple[str, str]]:
    """What is made with tags is tagged: that has to be allowed of it as well. Source: the RDS user guide, "Granting permission to tag Amazon RDS resources
    during creation"."""
    is_tagged = service == "rds" and (any(name.startswith("Tags.") for name in params) or _first(params, "CopyTags") == "true")
    return [(resources[-1], "rds:AddTagsToResource")] if is_tagged and _first(params, "Action") in _MAKING else []


def _leading_keys(data: dict[str, Any]) -> list[str]:
    """The partition keys that a DynamoDB request touches, whatever it is."""
    names, values = data.get("ExpressionAttributeNames") or {}, data.get("ExpressionAttributeValues") or {}
    found: list[str] = []

    def keep(table: str, item: dict[str, Any]) -> None:
        known = dynamodb._tables.get(table.rsplit("/", 1)[-1])
        value = item.get(known["pk_name"]) if known else None
        if isinstance(value, dict) and value:
            found.append(str(next(iter(value.values()))))

    table = data.get("TableName", "")
    keep(table, data.get("Key") or data.get("Item") or {})
    for part in (data.get("KeyConditionExpression") or "").replace("(", " ").replace(")", " ").split(" AND ") if table else []:
        left, equals, right = part.partition("=")
        known = dynamodb._tables.get(table.rsplit("/", 1)[-1])
        if equals and known and names.get(left.strip(), left.strip()) == known["pk_name"] and right.strip() in values:
            found.append(str(next(iter(values[right.strip()].values()))))
    for name, requests in (data.get("RequestItems") or {}).items():
        if isinstance(requests, dict):
            for key in requests.get("Keys", []):
                keep(name, key)
        else:
            for request in requests:
                keep(name, (request.get("PutRequest") or {}).get("Item") or (request.get("DeleteRequest") or {}).get("Key") or {})
    return found


def _keys_of(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
    """Condition keys of single services."""
    if action == "cloudwatch:PutMetricData":
        namespace = _first(params, "Namespace")
        if not namespace:
            data = _json(body) if body[:1] == b"{" else cbor2.loads(body)
            namespace = data.get("Namespace", "")
        return {"cloudwatch:namespace": namespace}
    if action == "route53:ChangeResourceRecordSets":
        text = body.decode("utf-8", "replace")
        return {
            "route53:ChangeResourceRecordSetsActions": [verb for verb in ("CREATE", "DELETE", "UPSERT") if f"<Action>{verb}<" in text],
            "route53:ChangeResourceRecordSetsRecordTypes": [kind for kind in ("A", "AAAA", "CNAME", "NS") if f"<Type>{kind}<" in text],
        }
    return {}


# Tags of what moto keeps, for aws:ResourceTag


def _databases() -> Iterator[tuple[str, list[dict[str, str]]]]:
    here = rds_backends[get_account_id()][get_region()]
    for database in here.databases.values():
        yield database.arn, database.tags
    for group in here.subnet_groups.values():
        yield group.arn, group.tags
    # A copy is about a snapshot of another region.
    for backend in rds_backends[get_account_id()].values():
        for snapshot in backend.database_snapshots.values():
            yield snapshot.arn, snapshot.tags


def _groups() -> Iterator[tuple[str, list[dict[str, str]]]]:
    for group in autoscaling_backends[get_account_id()][get_region()].autoscaling_groups.values():
        yield group.arn, [{"Key": _either(tag, "key"), "Value": _either(tag, "value")} for tag in group.tags]


def _templates() -> Iterator[tuple[str, list[dict[str, str]]]]:
    for template in ec2_backends[get_account_id()][get_region()].launch_templates.values():
        arn = f"arn:aws:ec2:{get_region()}:{get_account_id()}:launch-template/{template.id}"
        yield arn, [{"Key": _either(tag, "key"), "Value": _either(tag, "value")} for tag in template.get_tags()]


def _projects() -> Iterator[tuple[str, list[dict[str, str]]]]:
    for project in codebuild._projects.values():
        yield project["arn"], [{"Key": tag["key"], "Value": tag["value"]} for tag in project["tags"]]


def _either(tag: dict[str, str], name: str) -> str:
    return tag.get(name) or tag.get(name.capitalize()) or ""


def apply() -> None:
    """Once, before the first request."""
    # Service Quotas is a service that ministack does not know.
    router.SERVICE_PATTERNS["servicequotas"] = {"target_prefixes": ["ServiceQuotasV20190624"], "credential_scope": "servicequotas"}
    iam_actions.SERVICE_TO_IAM_NAMESPACE["servicequotas"] = "servicequotas"
    tagging._RESOURCE_TAG_COLLECTORS.update({"rds": _databases, "autoscaling": _groups, "ec2": _templates, "codebuild": _projects})

    arn, enforce, named = iam_actions.extract_resource_arn, iam_evaluator.enforce, iam_actions.extract_iam_action
    tags, attributes, origin = iam_actions.request_tag_context, iam_actions.dynamodb_service_context, app.pin_request_origin

    # The AWS SDK for Rust speaks CBOR to CloudWatch: the operation stands in the path. (ministack finds none, and asks no policy.)
    def extract_iam_action(service: str, method: str, path: str, headers: dict[str, str], body: bytes, params: dict[str, Any]) -> str | None:
        _, is_rpc, operation = path.rpartition("/operation/")
        if is_rpc and path.startswith("/service/"):
            return f"{iam_actions.SERVICE_TO_IAM_NAMESPACE[service]}:{operation}"
        return named(service, method, path, headers, body, params)

    def extract_resource_arn(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, params: dict[str, Any], region: str, account: str
    ) -> str:
        first, *others = found = _resources(service, headers, body, params, region, account) or [arn(service, method, path, headers, body, params, region, account)]
        _others.set((*((other, "") for other in others), *_tagging(service, params, found)))
        return first

    def enforce_all(access_key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: dict[str, Any] | None = None) -> Any:
        others = _others.get()
        _others.set(())
        for one, besides in [(resource_arn, ""), *others]:
            if denied := enforce(access_key, besides or action, service, region, resource_arn=one, service_context=service_context):
                gate.denials.get([]).append(besides or action)
                _missed.set(besides)
                return denied
        return None

    def request_tag_context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        # A CBOR body is no text to look for tags in, and nothing that a function publishes has any.
        return {**tags(service, action, b"" if service == "monitoring" else body, params), **_keys_of(service, action, body, params)}

    # dynamodb:LeadingKeys is always there: without it, ForAllValues would hold for every key.
    def dynamodb_service_context(body: bytes) -> dict[str, Any]:
        return {**attributes(body), "dynamodb:LeadingKeys": _leading_keys(_json(body))}

    # What is said is what was missed.
    refused = iam_actions.access_denied_response

    def access_denied_response(service: str, action: str, *rest: Any, **more: Any) -> Any:
        missed = _missed.get()
        _missed.set("")
        return refused(service, missed or action, *rest, **more)

    # AWS's endpoints speak TLS: a policy that denies plain HTTP denies nothing there.
    def pin_request_origin(address: str, _secure: bool) -> None:
        origin(address, True)

    iam_actions.access_denied_response = access_denied_response
    iam_actions.extract_iam_action = extract_iam_action
    iam_actions.extract_resource_arn = extract_resource_arn
    iam_evaluator.enforce = enforce_all
    iam_actions.request_tag_context = request_tag_context
    iam_actions.dynamodb_service_context = dynamodb_service_context
    app.pin_request_origin = pin_request_origin
