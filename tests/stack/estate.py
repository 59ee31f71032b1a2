"""Makes what a plan protects, in both regions, from the plan itself: so that the two cannot differ."""

import base64
import json
import pathlib
from dataclasses import dataclass
from typing import Any

import databases
from aws import Account

Plan = dict[str, Any]
#: What the estate's primary is before anything happens.
OPEN_GROUP = "sg-0b5ec0a7d00000001"


@dataclass(frozen=True)
class Names:
    """Route 53's part of a plan's variables."""

    zone: str
    health_check: str


def tags(plan: Plan) -> list[dict[str, str]]:
    """By which Muster's roles know what they may change."""
    return [{"Key": "muster:service", "Value": plan["service"]}]


def make_image(account: Account, region: str, name: str) -> str:
    """A machine image of the region's own."""
    return account.client("ec2", region).register_image(Name=name, RootDeviceName="/dev/sda1", Architecture="x86_64")["ImageId"]


def make_names(account: Account, plan: Plan, addresses: dict[str, str]) -> Names:
    """The zone, the failover pair of the public name, its health check on the takeover alarm, and the endpoints' own names."""
    route53 = account.client("route53", "us-east-1")
    [record] = plan["traffic"]
    zone = route53.create_hosted_zone(Name=record["record"].partition(".")[2], CallerReference="local-stack")["HostedZone"]["Id"].removeprefix("/hostedzone/")
    alarm = {"Region": plan["regions"]["standby"], "Name": record["method"]["alarm"]}
    check = {"Type": "CLOUDWATCH_METRIC", "AlarmIdentifier": alarm, "InsufficientDataHealthStatus": "LastKnownStatus"}
    health_check = route53.create_health_check(CallerReference="local-stack", HealthCheckConfig=check)["HealthCheck"]["Id"]
    pair = [("PRIMARY", addresses["primary"], {"HealthCheckId": health_check}), ("SECONDARY", addresses["standby"], {})]
    sets = [
        {"Name": record["record"], "Type": "A", "SetIdentifier": role.lower(), "Failover": role, "TTL": 5, "ResourceRecords": [{"Value": address}], **extra}
        for role, address, extra in pair
    ]
    for role, address in addresses.items():
        host = record[role]["url"].split("/")[2].partition(":")[0]
        sets.append({"Name": host, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": address}]})
    changes = [{"Action": "UPSERT", "ResourceRecordSet": one} for one in sets]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    return Names(zone, health_check)


def make(account: Account, plan: Plan, servers: dict[str, databases.Server], images: dict[str, str], webhook: str) -> None:
    """Everything else. The standby's groups start empty; the primary's are as large as the standby's are to be. `webhook` hears what chats are told."""
    _databases(account, plan)
    _caches(account, plan)
    _compute(account, plan, images)
    _configuration(account, plan, servers)
    _channels(account, plan, webhook)
    _backups(account, plan)
    _isolated_subnets(account, plan)
    _projects(account, plan)


def _regions(plan: Plan) -> tuple[str, str]:
    return plan["regions"]["primary"], plan["regions"]["standby"]


def _databases(account: Account, plan: Plan) -> None:
    primary, standby = _regions(plan)
    for database in plan["databases"]:
        key = account.client("kms", primary).create_key(Description=database["primary"])["KeyMetadata"]["Arn"]
        account.client("rds", primary).create_db_instance(
            DBInstanceIdentifier=database["primary"], DBInstanceClass="db.t3.small", Engine=database["engine"], EngineVersion="15.4", AllocatedStorage=20,
            DBName=database["database"], MasterUsername="administrator", MasterUserPassword="not-used-here", BackupRetentionPeriod=7,
            MultiAZ=True, VpcSecurityGroupIds=[OPEN_GROUP], StorageEncrypted=True, KmsKeyId=key, Tags=tags(plan),
        )
        arn = f"arn:aws:rds:{primary}:123456789012:db:{database['primary']}"
        replica = database["standby"]["id"]
        # A key does not leave its region.
        key = account.client("kms", standby).create_key(Description=replica)["KeyMetadata"]["Arn"]
        account.client("rds", standby).create_db_instance_read_replica(
            DBInstanceIdentifier=replica, SourceDBInstanceIdentifier=arn, DBInstanceClass="db.t3.small", VpcSecurityGroupIds=[OPEN_GROUP], KmsKeyId=key,
            Tags=tags(plan),
        )
        # A replica has no automated backups until it is told to.
        account.client("rds", standby).modify_db_instance(DBInstanceIdentifier=replica, BackupRetentionPeriod=7, ApplyImmediately=True)
        secret = {"username": databases.MUSTER, "password": databases.MUSTER_PASSWORD}
        for region in (primary, standby):
            account.client("secretsmanager", region).create_secret(
                Name=database["credentials"]["secret"], SecretString=json.dumps(secret), Tags=tags(plan)
            )


def _caches(account: Account, plan: Plan) -> None:
    for cache in plan["caches"]:
        for region, group in zip(_regions(plan), (cache["primary"], cache["standby"]["id"]), strict=True):
            account.client("elasticache", region).create_replication_group(
                ReplicationGroupId=group, ReplicationGroupDescription=group, Engine="redis", CacheNodeType="cache.t3.micro", NumCacheClusters=1, Tags=tags(plan)
            )


def _compute(account: Account, plan: Plan, images: dict[str, str]) -> None:
    primary, standby = _regions(plan)
    template = next(part["standby"]["launchTemplate"] for part in plan["compute"] if part["kind"] == "autoScalingGroup")
    for region in (primary, standby):
        account.client("ec2", region).create_launch_template(
            LaunchTemplateName=template,
            LaunchTemplateData={"ImageId": images[region], "InstanceType": "t3.small", "UserData": base64.b64encode(b"#!/bin/sh\n").decode()},
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags(plan)}],
        )
    for part in plan["compute"]:
        here, there, size = _groups(part)
        for region, group, desired in ((primary, here, size), (standby, there, 0)):
            account.client("autoscaling", region).create_auto_scaling_group(
                AutoScalingGroupName=group, MinSize=desired, DesiredCapacity=desired, MaxSize=max(size, 1) * 2, AvailabilityZones=[f"{region}a"],
                LaunchTemplate={"LaunchTemplateName": template, "Version": "$Default"},
                Tags=[{**tag, "PropagateAtLaunch": True, "ResourceId": group, "ResourceType": "auto-scaling-group"} for tag in tags(plan)],
            )


def _groups(part: dict[str, Any]) -> tuple[str, str, int]:
    """The primary's group, the standby's, and how many instances serve."""
    if part["kind"] == "background":
        workload = part["workload"]
        return workload["primary"], workload["standby"], workload["desired"]
    return part["primary"]["group"], part["standby"]["group"], part["standby"]["desired"]


def _configuration(account: Account, plan: Plan, servers: dict[str, databases.Server]) -> None:
    server = servers[plan["regions"]["primary"]]
    for item in plan["configuration"]:
        if item["kind"] == "ssmParameter":
            for region in _regions(plan):
                account.client("ssm", region).put_parameter(
                    Name=item["parameter"], Value=server.address, Type="String", Tags=tags(plan)
                )


def _backups(account: Account, plan: Plan) -> None:
    """The keys of copies; the buckets that others write to, each with the newest of what they write."""
    primary, standby = _regions(plan)
    for backup in plan.get("backups", []):
        if key := backup.get("copy", {}).get("kmsKey"):
            kms = account.client("kms", standby)
            kms.create_alias(AliasName=key, TargetKeyId=kms.create_key(Description=backup["name"])["KeyMetadata"]["KeyId"])
        if backup["method"]["kind"] == "s3Objects":
            places = [(primary, backup["method"])] + ([(standby, copied)] if (copied := backup.get("copy")) else [])
            for region, place in places:
                s3 = account.client("s3", region)
                # us-east-1 is no constraint, any other region is one.
                there = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
                s3.create_bucket(Bucket=place["bucket"], **there)
                s3.put_object(Bucket=place["bucket"], Key=f"{place['prefix']}dump.sql.gz", Body=b"a dump")


def _isolated_subnets(account: Account, plan: Plan) -> None:
    """Where clones go: subnets of the standby region in two zones, which lead nowhere."""
    _, standby = _regions(plan)
    ec2 = account.client("ec2", standby)
    for group in sorted({database["restoreTest"]["subnetGroup"] for database in plan["databases"] if "restoreTest" in database}):
        vpc = ec2.create_vpc(CidrBlock="10.86.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.86.{number}.0/24", AvailabilityZone=f"{standby}{zone}")["Subnet"]["SubnetId"]
            for number, zone in enumerate("ab")
        ]
        account.client("rds", standby).create_db_subnet_group(DBSubnetGroupName=group, DBSubnetGroupDescription=group, SubnetIds=subnets, Tags=tags(plan))


def _projects(account: Account, plan: Plan) -> None:
    """What loads dumps, with the buildspec that docs/install.md names. Its user may make databases; Muster's must not."""
    _, standby = _regions(plan)
    buildspec = (pathlib.Path(__file__).parents[2] / "codebuild" / "load-dump.buildspec.yaml").read_text()
    for database in plan["databases"]:
        if dump := database.get("restoreTest", {}).get("dump"):
            secret = f"{database['credentials']['secret']}-administrator"
            account.client("secretsmanager", standby).create_secret(Name=secret, SecretString=json.dumps({"username": "rdsadmin", "password": "rdsadmin"}))
            variables = [("PGUSER", "username"), ("PGPASSWORD", "password")]
            account.client("codebuild", standby).create_project(
                name=dump["project"], source={"type": "NO_SOURCE", "buildspec": buildspec}, artifacts={"type": "NO_ARTIFACTS"},
                environment={
                    "type": "LINUX_CONTAINER", "image": "postgres", "computeType": "BUILD_GENERAL1_SMALL",
                    "environmentVariables": [{"name": name, "value": f"{secret}:{key}", "type": "SECRETS_MANAGER"} for name, key in variables],
                },
                serviceRole="arn:aws:iam::123456789012:role/basecoat-pg-restore", tags=[{"key": tag["Key"], "value": tag["Value"]} for tag in tags(plan)],
            )


def inbox(name: str) -> str:
    """The queue that hears what a topic is told."""
    return f"{name}-inbox"


def _channels(account: Account, plan: Plan, webhook: str) -> None:
    region = plan["regions"]["standby"]
    for secret in sorted({channel["via"]["address"]["secret"] for channel in plan["people"]["channels"] if channel["via"]["kind"] == "webhook"}):
        account.client("secretsmanager", region).create_secret(Name=secret, SecretString=webhook, Tags=tags(plan))
    sns, sqs = account.client("sns", region), account.client("sqs", region)
    for topic in sorted({channel["via"]["topic"] for channel in plan["people"]["channels"] if channel["via"]["kind"] == "sns"}):
        name = topic.rsplit(":", 1)[-1]
        sns.create_topic(Name=name, Tags=tags(plan))
        url = sqs.create_queue(QueueName=inbox(name))["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        # As on AWS, a queue takes a topic's messages only if its policy says so.
        statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
