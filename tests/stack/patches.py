"""What the emulators do otherwise than AWS, put right. Each patch says which behaviour of AWS it stands for.

Nothing here knows Muster: these are AWS's rules, and the estate's servers behind them.
"""

import copy
import datetime
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import caches
import databases
from ministack.core import responses
from ministack.services import cloudwatch, dynamodb, eventbridge, kms, lambda_svc, s3, stepfunctions
from ministack.services.cloudformation import provisioners
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.ec2.models import launch_templates
from moto.ec2.responses import launch_templates as launch_template_responses
from moto.elasticache import models as elasticache
from moto.elasticache.responses import ElastiCacheResponse
from moto.rds import models as rds
from moto.rds.exceptions import KMSKeyNotAccessibleFault, RDSClientError
from moto.rds.responses import RDSResponse
from moto.route53 import models as route53
from moto.route53 import responses as route53_responses
from moto.servicequotas.models import ServiceQuotasBackend

ACCOUNT = "123456789012"


def act_in(region: str) -> None:
    """What this thread does with the emulators from here on, it does in this region."""
    responses.set_request_account_id(ACCOUNT)
    responses.set_request_region(region)


# RDS: instances that are real servers

#: region and instance identifier -> the server that the instance is
servers: dict[tuple[str, str], databases.Server] = {}
#: security groups that let no client in
_quarantine: set[str] = set()


def run_instances_on(running: list[databases.Server], quarantine: set[str]) -> None:
    """The instances of these names are these servers; a group of `quarantine` lets no client in."""
    servers.update({(server.region, server.instance): server for server in running})
    _quarantine.update(quarantine)


def server_of(database: Any) -> databases.Server | None:
    """The server that an instance is."""
    return servers.get((database.region, database.db_instance_identifier))


def admit(server: databases.Server, database: Any) -> None:
    """Whom the instance's security groups let in."""
    databases.admit(server, not _quarantine & set(database.vpc_security_group_ids))
    databases.reload(server)


def _rds() -> None:
    backend: Any = rds.RDSBackend
    instance: Any = rds.DBInstance
    created, modified = backend.create_db_instance_read_replica, backend.modify_db_instance

    # The endpoint is where the server listens; an instance that is `creating` has none. (moto makes up a name that nobody answers to.)
    moto_endpoint = instance.endpoint.fget

    def endpoint(self: Any) -> Any:
        server = server_of(self)
        if server is None:
            return None if self.status == "creating" else moto_endpoint(self)
        return server.endpoint

    instance.endpoint = property(endpoint)

    # A replica in another region is an instance of its own: its zone is of its region, its groups are not the source's, its own
    # replicas are none. (moto copies the source.)
    def create_db_instance_read_replica(self: Any, db_kwargs: dict[str, Any]) -> Any:
        replica = created(self, db_kwargs)
        replica.availability_zone = f"{self.region_name}a"
        replica.replicas = []
        replica.vpc_security_group_ids = list(replica.vpc_security_group_ids)
        return replica

    # PromoteReadReplica: the call returns while the instance is `modifying` and still a replica; done is `available` without a source,
    # and the source does not list it any more. A second call, or one for an instance that is no replica, is refused.
    # Source: the RDS API reference, PromoteReadReplica.
    def promote_read_replica(self: Any, db_kwargs: dict[str, Any]) -> Any:
        database = self.databases.get(db_kwargs["db_instance_identifier"])
        if database is None:
            raise rds.DBInstanceNotFoundError(db_kwargs["db_instance_identifier"])
        if not database.is_replica or database.status != "available":
            raise RDSClientError("InvalidDBInstanceState", f"DB Instance {database.db_instance_identifier} is not a Read Replica that is available.")
        database.update(**{name: value for name, value in db_kwargs.items() if value is not None})
        database.status = "modifying"
        threading.Thread(target=_promote, args=(self, database), daemon=True).start()
        return database

    # ModifyDBInstance with other VPC security groups: new connections are judged by the new groups at once, sessions stay.
    # Source: the EC2 user guide, "Security group connection tracking".
    def modify_db_instance(self: Any, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> Any:
        database = modified(self, db_instance_identifier, db_kwargs)
        server = server_of(database)
        if server is not None and "vpc_security_group_ids" in db_kwargs:
            admit(server, database)
        return database

    # RebootDBInstance: `rebooting`, then `available`; every session has ended.
    def reboot_db_instance(self: Any, db_instance_identifier: str) -> Any:
        database = self.describe_db_instances(db_instance_identifier)[0]
        database.status = "rebooting"
        threading.Thread(target=_reboot, args=(database,), daemon=True).start()
        return database

    backend.create_db_instance_read_replica = create_db_instance_read_replica
    backend.promote_read_replica = promote_read_replica
    backend.modify_db_instance = modify_db_instance
    backend.reboot_db_instance = reboot_db_instance


def _promote(backend: Any, database: Any) -> None:
    time.sleep(1)
    if database.status != "modifying" or not database.is_replica:
        return  # Undone meanwhile: see memory.py.
    server = server_of(database)
    if server is not None and databases.is_standby(server):
        databases.promote(server)
    leave_source(backend, database)
    database.is_replica, database.source_db_instance_identifier = False, None
    database.status = "available"


def leave_source(backend: Any, replica: Any) -> None:
    """The source of a replica does not list it any more."""
    source = replica.source_db_instance_identifier
    if source is None:
        return
    region = source.split(":")[3] if source.startswith("arn:") else backend.region_name
    original = rds.rds_backends[ACCOUNT][region].databases.get(source.rsplit(":", 1)[-1])
    if original is not None:
        original.replicas = [name for name in original.replicas if name not in (replica.db_instance_identifier, replica.db_instance_arn)]


def _reboot(database: Any) -> None:
    server = server_of(database)
    if server is not None and databases.is_running(server):
        databases.restart(server)
    database.status = "available"


# RDS: snapshots

#: A region's quota of manual snapshots. Source: the RDS user guide, "Quotas in Amazon RDS".
_MANUAL_SNAPSHOTS = 100


def _snapshots() -> None:
    backend: Any = rds.RDSBackend
    response: Any = RDSResponse

    # The key of a copy is one of the region's, and enabled. (moto looks for it in a KMS of its own.)
    def validate_kms_key(self: Any, name: str) -> str:
        act_in(self.region_name)
        key = kms._resolve_key(name)
        if key is None or key["KeyState"] != "Enabled":
            raise KMSKeyNotAccessibleFault(name)
        return str(key["Arn"])

    # Automated backups go back to the retention, and forward to about five minutes ago. Source: the RDS user guide, "Restoring to a specified time".
    # (moto tells neither.)
    def describe_db_instance_automated_backups(self: Any) -> ActionResult:
        wanted, now = self.params.get("db_instance_identifier"), datetime.datetime.now(datetime.UTC)
        found = [
            {
                "DBInstanceIdentifier": database.db_instance_identifier, "Status": "active", "Region": self.region,
                "RestoreWindow": {"EarliestTime": now - datetime.timedelta(days=1), "LatestTime": now - datetime.timedelta(minutes=5)},
            }
            for database in self.backend.databases.values()
            if database.backup_retention_period and wanted in (None, database.db_instance_identifier)
        ]
        return ActionResult({"DBInstanceAutomatedBackups": found})

    def describe_account_attributes(self: Any) -> ActionResult:
        used = {"ManualSnapshots": len(self.backend.database_snapshots), "ManualClusterSnapshots": 0}
        return ActionResult({"AccountQuotas": [{"AccountQuotaName": name, "Used": count, "Max": _MANUAL_SNAPSHOTS} for name, count in used.items()]})

    backend._validate_kms_key = validate_kms_key
    response.describe_db_instance_automated_backups = describe_db_instance_automated_backups
    response.describe_account_attributes = describe_account_attributes


def change_snapshot(region: str, name: str, seconds: float = 0, status: str = "") -> None:
    """A snapshot becomes so much older, or has another status."""
    snapshot = rds.rds_backends[ACCOUNT][region].database_snapshots[name]
    earlier = datetime.timedelta(seconds=seconds)
    snapshot.created -= earlier
    snapshot.original_snapshot_create_time -= earlier
    snapshot.status = status or snapshot.status


# ElastiCache: replication groups that are real servers

#: replication group -> the server that it is
_caches: dict[str, caches.Server] = {}


def run_groups_on(servers: list[caches.Server]) -> None:
    """The replication groups of these names are these servers."""
    _caches.update({server.group: server for server in servers})


def _replication_groups() -> None:
    backend: Any = elasticache.ElastiCacheBackend
    created = backend.create_replication_group

    # The endpoint is where the server listens. (moto makes up a name that nobody answers to.)
    def create_replication_group(self: Any, **named: Any) -> Any:
        group = created(self, **named)
        server = _caches.get(named["replication_group_id"])
        if server is not None:
            for nodes in group.node_groups:
                nodes["primary_endpoint"] = {"address": server.address, "port": server.port}
        return group

    backend.create_replication_group = create_replication_group


# ElastiCache: global datastores, which moto has not

datastores: dict[str, dict[str, Any]] = {}


def create_global_datastore(name: str, primary: tuple[str, str], secondary: tuple[str, str]) -> None:
    """A global datastore of two replication groups, each (region, group)."""
    members = [(primary, "PRIMARY"), (secondary, "SECONDARY")]
    datastores[name] = {
        "GlobalReplicationGroupId": name,
        "GlobalReplicationGroupDescription": name,
        "Status": "available",
        "CacheNodeType": "cache.t3.micro",
        "Engine": "redis",
        "EngineVersion": "7.1",
        "ClusterEnabled": False,
        "ARN": f"arn:aws:elasticache::{ACCOUNT}:globalreplicationgroup:{name}",
        "Members": [
            {"ReplicationGroupId": group, "ReplicationGroupRegion": region, "Role": role, "AutomaticFailover": "enabled", "Status": "associated"}
            for (region, group), role in members
        ],
    }


class _NoSuchDatastore(ServiceException):
    code = "GlobalReplicationGroupNotFoundFault"
    message = "The Global datastore does not exist"


class _DatastoreBusy(ServiceException):
    code = "InvalidGlobalReplicationGroupState"
    message = "The Global datastore is not available or in primary-only state."


def _global_datastores() -> None:
    # DescribeGlobalReplicationGroups lists the members only where it is asked to; an unknown id is a fault.
    def describe_global_replication_groups(self: Any) -> ActionResult:
        name = self._get_param("GlobalReplicationGroupId")
        if name is not None and name not in datastores:
            raise _NoSuchDatastore()
        found = [copy.deepcopy(store) for known, store in sorted(datastores.items()) if name in (None, known)]
        if not self._get_bool_param("ShowMemberInfo", False):
            for store in found:
                store.pop("Members")
        return ActionResult({"GlobalReplicationGroups": found})

    # FailoverGlobalReplicationGroup is called in the region that is to become the primary; the datastore is `modifying` meanwhile.
    # A second call is refused until it is `available`. Source: the ElastiCache API reference.
    def failover_global_replication_group(self: Any) -> ActionResult:
        store = datastores.get(self._get_param("GlobalReplicationGroupId"))
        if store is None:
            raise _NoSuchDatastore()
        if store["Status"] not in ("available", "primary-only"):
            raise _DatastoreBusy()
        region, group = self._get_param("PrimaryRegion"), self._get_param("PrimaryReplicationGroupId")
        if not any((member["ReplicationGroupRegion"], member["ReplicationGroupId"]) == (region, group) for member in store["Members"]):
            raise _NoSuchDatastore()
        store["Status"] = "modifying"
        threading.Thread(target=_failover, args=(store, region), daemon=True).start()
        return ActionResult({"GlobalReplicationGroup": copy.deepcopy(store)})

    response: Any = ElastiCacheResponse
    response.describe_global_replication_groups = describe_global_replication_groups
    response.failover_global_replication_group = failover_global_replication_group


def _failover(store: dict[str, Any], region: str) -> None:
    time.sleep(1)
    for member in store["Members"]:
        member["Role"] = "PRIMARY" if member["ReplicationGroupRegion"] == region else "SECONDARY"
    store["Status"] = "available"


# Route 53: zones, and health checks that follow an alarm


def _route53() -> None:
    # A hosted zone's id begins with Z. (moto's begin with any letter.)
    identity = route53.create_route53_zone_id
    route53.create_route53_zone_id = lambda *given, **named: "Z" + identity(*given, **named)[1:]

    # A health check of type CLOUDWATCH_METRIC names an alarm, and what it is while the alarm has no data. (moto forgets both.)
    response: Any = route53_responses.Route53
    health_check: Any = route53.HealthCheck
    answered, config = response.create_health_check, health_check.health_check_config.fget

    def create_health_check(self: Any) -> Any:
        result = answered(self)
        asked = self._get_param("HealthCheckConfig")
        result.result["HealthCheck"].alarm_identifier = asked.get("AlarmIdentifier")
        result.result["HealthCheck"].insufficient_data = asked.get("InsufficientDataHealthStatus")
        return result

    def health_check_config(self: Any) -> dict[str, Any]:
        extra = {"AlarmIdentifier": getattr(self, "alarm_identifier", None), "InsufficientDataHealthStatus": getattr(self, "insufficient_data", None)}
        return {**config(self), **{name: value for name, value in extra.items() if value is not None}}

    response.create_health_check = create_health_check
    health_check.health_check_config = property(health_check_config)


# EC2: versions of launch templates

#: Region, template and client token -> the answer that was given
template_tokens: dict[str, ActionResult] = {}


def _launch_templates() -> None:
    template: Any = launch_templates.LaunchTemplate
    version: Any = launch_templates.LaunchTemplateVersion
    response: Any = launch_template_responses.LaunchTemplates
    created, respond = template.create_version, response.create_launch_template_version

    # A new version is its source version with what the request changes. Source: the EC2 API reference, CreateLaunchTemplateVersion.
    # A repeated call with the same client token returns the same version. (moto takes neither into account.)
    def create_launch_template_version(self: Any) -> ActionResult:
        token = self._get_param("ClientToken")
        known = f"{self.region}/{self._get_param('LaunchTemplateName') or self._get_param('LaunchTemplateId')}/{token}"
        if token is None:
            return versioned(self)
        if known not in template_tokens:
            template_tokens[known] = versioned(self)
        return template_tokens[known]

    def versioned(self: Any) -> ActionResult:
        source = self._get_param("SourceVersion")
        if source is not None:
            name, identity = self._get_param("LaunchTemplateName"), self._get_param("LaunchTemplateId")
            found = self.ec2_backend.get_launch_template_by_name(name) if name else self.ec2_backend.get_launch_template(identity)
            found.next_source = found.get_version(source).data
        return respond(self)

    def create_version(self: Any, data: dict[str, Any], description: str) -> Any:
        source = self.__dict__.pop("next_source", {})
        return created(self, {**source, **data}, description)

    # An Auto Scaling group starts instances from a template with user data. (moto stops at its own assertion when both came as text.)
    def user_data(self: Any) -> Base64EncodedString | None:
        text = self.data.get("UserData")
        return text if text is None or isinstance(text, Base64EncodedString) else Base64EncodedString.from_encoded_bytes(text.encode())

    template.create_version = create_version
    version.user_data = property(user_data)
    response.create_launch_template_version = create_launch_template_version


# Service Quotas: what moto knows is VPC only


def _quotas() -> None:
    backend: Any = ServiceQuotasBackend
    get = backend.get_service_quota

    # L-1216C47A: vCPUs of running on-demand standard instances. It is applied per region, and every account has it.
    def get_service_quota(self: Any, service_code: str, quota_code: str) -> dict[str, Any]:
        if (service_code, quota_code) != ("ec2", "L-1216C47A"):
            return get(self, service_code, quota_code)
        return {
            "ServiceCode": "ec2",
            "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
            "QuotaArn": f"arn:aws:servicequotas:{self.region_name}:{ACCOUNT}:ec2/L-1216C47A",
            "QuotaCode": "L-1216C47A",
            "QuotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
            "Value": 64.0,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }

    backend.get_service_quota = get_service_quota


# CloudWatch: alarms that are evaluated, and heard of

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


def alarm_periods(alarm: dict[str, Any], count: int, now: float) -> list[bool | None]:
    """For each of the last `count` periods, newest first: whether it breaches; None where there is no data."""
    period = int(alarm.get("Period") or 60)
    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    points = cloudwatch._metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions)) or []
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    breaches = _COMPARISONS[alarm["ComparisonOperator"]]
    verdicts: list[bool | None] = []
    for age in range(count):
        inside = [point for point in points if now - (age + 1) * period < point["Timestamp"] <= now - age * period]
        value = cloudwatch._stat_value(cloudwatch._calc_stats(inside), statistic, inside) if inside else None
        verdicts.append(None if value is None else breaches(float(value), float(alarm["Threshold"])))
    return verdicts


def _alarms() -> None:
    # An alarm looks at its own dimensions, at M of N periods, and treats missing data as it was told.
    # (ministack mixes all dimensions, and passes over an alarm without data.) Source: the CloudWatch user guide, "Alarm evaluation".
    def evaluate(alarm: dict[str, Any]) -> None:
        if not alarm.get("Namespace") or alarm.get("ComparisonOperator") not in _COMPARISONS:
            return
        count = int(alarm.get("EvaluationPeriods") or 1)
        # Somewhat more than the periods is looked at: the newest that have data count, and what is then still missing is treated as told.
        known = [verdict for verdict in alarm_periods(alarm, count + 2, time.time()) if verdict is not None][:count]
        missing = alarm.get("TreatMissingData") or "missing"
        if len(known) < count and missing == "ignore":
            return
        if not known and missing == "missing":
            state = "INSUFFICIENT_DATA"
        else:
            breaching = sum(known) + (count - len(known) if missing == "breaching" else 0)
            state = "ALARM" if breaching >= int(alarm.get("DatapointsToAlarm") or count) else "OK"
        old = alarm["StateValue"]
        # A person's SetAlarmState stands until the next evaluation, which AWS does once a period.
        if state == old or time.time() - alarm.get("StateUpdatedTimestamp", 0) < 20:
            return
        alarm.update(StateValue=state, StateReason=f"{sum(known)} of {len(known)} periods with data are breaching", StateUpdatedTimestamp=int(time.time()))
        cloudwatch._record_history(alarm["AlarmName"], old, state, alarm["StateReason"])
        cloudwatch._dispatch_alarm_actions(alarm, old, state, alarm["StateReason"])

    # A change of state is an event on the default bus, with the source aws.cloudwatch, which nobody else can put there.
    # Source: the CloudWatch user guide, "Alarm events and EventBridge". (ministack sends none.)
    recorded = cloudwatch._record_history

    def record_history(alarm_name: str, old_state: str, new_state: str, reason: str, *rest: Any, **more: Any) -> None:
        recorded(alarm_name, old_state, new_state, reason, *rest, **more)
        if old_state != new_state:
            announce_alarm(alarm_name, old_state, new_state, reason)

    cloudwatch._evaluate_alarm = evaluate
    cloudwatch._record_history = record_history


def announce_alarm(name: str, old: str, new: str, reason: str) -> None:
    """The event of an alarm's change of state, once. Delivery is at least once on AWS: a test may send it again."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime())
    detail = {
        "alarmName": name,
        "state": {"value": new, "reason": reason, "timestamp": now},
        "previousState": {"value": old, "timestamp": now},
        "configuration": {},
    }
    arn = f"arn:aws:cloudwatch:{responses.get_region()}:{ACCOUNT}:alarm:{name}"
    entry = {"Source": "aws.cloudwatch", "DetailType": "CloudWatch Alarm State Change", "Detail": json.dumps(detail), "Resources": [arn]}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def evaluate_alarms(regions: list[str]) -> None:
    """Every alarm of these regions, once: AWS does it by itself, whether or not anything was published."""
    for region in regions:
        act_in(region)
        cloudwatch._evaluate_all_alarms()


# Step Functions


def _branches_in_history() -> None:
    """The states of a Parallel's branches are in the history like all others. (ministack leaves them out.)"""
    ran = stepfunctions._run_sub_machine

    def entered(state: dict[str, Any], given: Any, context: dict[str, Any]) -> None:
        execution = stepfunctions._executions[context["Execution"]["Id"]]
        details = {"name": context["State"]["Name"], "input": json.dumps(given)}
        stepfunctions._add_event(execution, f"{state['Type']}StateEntered", {"stateEnteredEventDetails": details})

    def run_branch(states: dict[str, Any], start: str, given: Any, execution: dict[str, Any], context: dict[str, Any]) -> Any:
        # A context of its own for each branch, so that two do not overwrite each other's present state.
        own = {**context, "InBranch": True}
        ended = ran(states, start, given, execution, own)
        last = states[own["State"]["Name"]]
        # Succeed is the one type that the loop deals with by itself.
        if last.get("Type") == "Succeed":
            entered(last, ended, own)
        return ended

    def watch(name: str) -> None:
        executed = getattr(stepfunctions, name)

        def execute(state: dict[str, Any], given: Any, *rest: Any) -> Any:
            context = rest[-1] if rest else None
            if context and context.get("InBranch"):
                entered(state, given, context)
            return executed(state, given, *rest)

        setattr(stepfunctions, name, execute)

    stepfunctions._run_sub_machine = run_branch
    for name in ("_execute_pass", "_execute_task", "_execute_choice", "_execute_wait", "_execute_parallel"):
        watch(name)


def _step_functions() -> None:
    # StartExecution of a STANDARD machine is idempotent for the same name and input while the execution runs.
    # Source: the Step Functions API reference. (ministack refuses the second call.)
    started = stepfunctions._start_execution

    def start_execution(data: dict[str, Any]) -> Any:
        name = data.get("name")
        for execution in list(stepfunctions._executions.values()) if name else []:
            same = execution["name"] == name and execution["stateMachineArn"] == data.get("stateMachineArn")
            if same and execution["status"] == "RUNNING" and execution["input"] == data.get("input", "{}"):
                return responses.json_response({"executionArn": execution["executionArn"], "startDate": execution["startDate"]})
        return started(data)

    # A task's TimeoutSeconds may be an expression in a JSONata state. (ministack takes it as it stands.)
    executed = stepfunctions._execute_task

    def execute_task(state: dict[str, Any], raw_input: Any, execution: dict[str, Any], context: dict[str, Any]) -> Any:
        if isinstance(state.get("TimeoutSeconds"), str):
            seconds = stepfunctions._jsonata_state_field(state, "TimeoutSeconds", "number", raw_input, context)
            state = {**state, "TimeoutSeconds": seconds}
        return executed(state, raw_input, execution, context)

    # What runs on a schedule keeps its rhythm: waits of EXPRESS machines are as long as they say, whatever SFN_WAIT_SCALE is.
    waited = stepfunctions._execute_wait

    def execute_wait(state: dict[str, Any], raw_input: Any, context: dict[str, Any] | None = None) -> Any:
        machine = stepfunctions._state_machines.get((context or {}).get("StateMachine", {}).get("Id"))
        if machine is not None and machine["type"] == "EXPRESS" and isinstance(state.get("Seconds"), int):
            time.sleep(state["Seconds"] * (1 - stepfunctions._SFN_WAIT_SCALE))
        return waited(state, raw_input, context)

    # A Succeed state may have an Output. (ministack passes its input on.)
    output_path = stepfunctions._apply_output_path

    def apply_output_path(state: dict[str, Any], data: Any, context: dict[str, Any] | None = None) -> Any:
        if state.get("Type") == "Succeed" and "Output" in state:
            return stepfunctions._apply_jsonata_output(state, data, context, default=data)
        return output_path(state, data, context)

    stepfunctions._apply_output_path = apply_output_path
    stepfunctions._execute_task = execute_task
    stepfunctions._execute_wait = execute_wait
    _branches_in_history()

    # AWS/States counts executions by their end. (ministack counts none, and the template has alarms on them.)
    emitted = stepfunctions._emit_execution_status_event
    names = {"SUCCEEDED": "ExecutionsSucceeded", "FAILED": "ExecutionsFailed", "TIMED_OUT": "ExecutionsTimedOut", "ABORTED": "ExecutionsAborted"}

    def emit(execution: dict[str, Any]) -> None:
        emitted(execution)
        if execution["status"] in names:
            cloudwatch.record_metric("AWS/States", names[execution["status"]], 1, "Count", {"StateMachineArn": execution["stateMachineArn"]})

    stepfunctions._start_execution = start_execution
    stepfunctions._emit_execution_status_event = emit


# CloudFormation: properties that ministack accepts and leaves out


def _template_properties() -> None:
    def finish_table(name: str, properties: dict[str, Any]) -> None:
        dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": properties["TimeToLiveSpecification"]})
        dynamodb._update_continuous_backups({"TableName": name, "PointInTimeRecoverySpecification": properties["PointInTimeRecoverySpecification"]})

    def finish_bucket(name: str, properties: dict[str, Any]) -> None:
        retention = properties["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
        s3._bucket_object_lock[name] = {"enabled": True, "default_retention": {"Mode": retention["Mode"], "Days": int(retention["Days"])}}

    def finish_function(name: str, properties: dict[str, Any]) -> None:
        lambda_svc._functions[name]["concurrency"] = int(properties["ReservedConcurrentExecutions"])

    # type, a property that says that there is something to do, and what to do
    finishing = [
        ("AWS::DynamoDB::Table", "TimeToLiveSpecification", finish_table),
        ("AWS::S3::Bucket", "ObjectLockConfiguration", finish_bucket),
        ("AWS::Lambda::Function", "ReservedConcurrentExecutions", finish_function),
    ]
    for kind, named, finish in finishing:
        handlers = provisioners._RESOURCE_HANDLERS[kind]

        def create(logical_id: str, properties: dict[str, Any], stack: str, made: Any = handlers["create"], named: str = named, finish: Any = finish) -> Any:
            physical_id, attributes = made(logical_id, properties, stack)
            if named in properties:
                finish(physical_id, properties)
            return physical_id, attributes

        handlers["create"] = create


def apply() -> None:
    """All of them. Once, before the first request."""
    for patch in (_rds, _snapshots, _replication_groups, _global_datastores, _route53, _launch_templates, _quotas, _alarms, _step_functions, _template_properties):
        patch()
