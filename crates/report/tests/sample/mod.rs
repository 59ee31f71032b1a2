//! A night in which us-east-1 goes dark: the ledger, the probe's samples, and what clients saw.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)] // shared by the tests and the example

use muster_core::ports::{Reading, Sample};
use muster_core::{
    BackupExposure, BackupProblem, Body, Call, CallFault, Duration, Entry, Evidence, Hash, LagBasis, Lane, Outcome, Override, PlanPin, Plane, Run, RunId,
    Timestamp, Waits,
};
use muster_plan::Plan;
use muster_report::{Busy, Clients, Closing, ComponentTruth, CurveSegment, Report, assemble};

pub fn at(clock: &str) -> Timestamp {
    format!("2026-11-20T{clock}Z").parse().unwrap()
}

pub fn span(text: &str) -> Duration {
    text.parse().unwrap()
}

pub fn plan() -> Plan {
    serde_json::from_str(include_str!("plan.json")).unwrap()
}

pub fn run() -> Run {
    Run {
        id: RunId("basecoat-portal/region-failover/2026-11-20T02:06:30Z".into()),
        service: "basecoat-portal".into(),
        flow: "region-failover".into(),
        epoch: 7,
        lane: Lane::Recover,
        opened_at: at("02:06:30"),
        deadline: at("08:06:30"),
        plan: PlanPin { key: "plans/basecoat-portal.json".into(), version: "3sL4kqtJlcpXroDTDmJ".into(), sha256: "9f2b6c1d".repeat(8).into() },
        overrides: Vec::new(),
        waits: Waits { decision_seconds: 900, hold_seconds: 1_800 },
    }
}

/// Writes a ledger, invocation by invocation.
pub struct Book {
    pub entries: Vec<Entry>,
    run: RunId,
    invocations: u32,
    sequence: u32,
    action: String,
    phase: String,
}

impl Book {
    pub fn new() -> Self {
        Book::of(&run())
    }

    pub fn of(run: &Run) -> Self {
        Book { entries: Vec::new(), run: run.id.clone(), invocations: 0, sequence: 0, action: String::new(), phase: String::new() }
    }

    pub fn begin(&mut self, clock: &str, phase: &str, action: &str) -> &mut Self {
        self.invocations += 1;
        self.sequence = 0;
        (self.phase, self.action) = (phase.to_owned(), action.to_owned());
        self.write(clock, Body::Began)
    }

    pub fn write(&mut self, clock: &str, body: Body) -> &mut Self {
        self.entries.push(Entry {
            run: self.run.clone(),
            epoch: 7,
            invocation: format!("{:04}", self.invocations).as_str().into(),
            action: self.action.as_str().into(),
            phase: self.phase.as_str().into(),
            sequence: self.sequence,
            at: at(clock),
            body,
        });
        self.sequence += 1;
        self
    }

    pub fn saw(&mut self, clock: &str, evidence: Evidence) -> &mut Self {
        self.write(clock, Body::Saw { evidence })
    }

    pub fn end(&mut self, clock: &str, status: &str, detail: &str) -> &mut Self {
        let own = self.entries.len() - self.sequence as usize;
        let chain = self.entries[own..].iter().fold(Hash::ZERO, Hash::link);
        self.write(clock, Body::Ended { status: status.to_owned(), detail: detail.to_owned(), chain })
    }

    /// A call, with its intent where it mutates.
    pub fn call(&mut self, clock: &str, operation: &str, place: (&str, Plane), resource: &str, millis: u64, fault: Option<CallFault>) -> &mut Self {
        let mutates = ["rds:Promote", "elasticache:Failover", "autoscaling:Set", "ec2:Create", "ec2:Modify", "cloudwatch:Put"]
            .iter()
            .any(|verb| operation.starts_with(verb));
        let call = Call { operation: operation.into(), region: place.0.parse().unwrap(), plane: place.1, mutates, resource: resource.into() };
        if mutates {
            self.write(clock, Body::Intent { call: call.clone() });
        }
        let request_id = fault.is_none_or(|fault| fault == CallFault::Rejected).then(|| format!("{:08x}-4c1e", 0x5eed_0000 + self.entries.len()));
        let message = match fault {
            Some(CallFault::Throttled) => "Rate exceeded",
            Some(CallFault::Unreachable) => "connect timed out after 1 s",
            Some(CallFault::Rejected) => "the group's maximum is 3 | wanted 5",
            _ => "",
        };
        self.write(clock, Body::Called { call, outcome: Outcome { fault, message: message.to_owned(), latency: Duration::from_millis(millis), request_id } })
    }
}

const WEST: (&str, Plane) = ("us-west-2", Plane::Control);
const EAST: (&str, Plane) = ("us-east-1", Plane::Control);
const PROBE: (&str, Plane) = ("us-west-2", Plane::Data);

fn checked(check: &str, component: &str, seen: &str, wanted: &str, passed: bool) -> Evidence {
    Evidence::Checked { check: check.into(), component: component.into(), seen: seen.into(), wanted: wanted.into(), passed }
}

fn awaited(component: &str, what: &str, from: &str, until: &str) -> Evidence {
    Evidence::Awaited { component: component.into(), what: what.into(), from: at(from), until: at(until) }
}

pub fn ledger() -> Vec<Entry> {
    let mut book = Book::new();
    let replica = "basecoat-portal-db-read-replica (us-west-2)";
    book.begin("02:06:30", "OpenRun", "open-run")
        .saw("02:06:30.040", Evidence::Opened { by: "alarm basecoat-portal-primary-down".into(), reason: "both probes fail".into() })
        .end("02:06:30.090", "done", "run opened at epoch 7");
    for clock in ["02:06:31", "02:06:33", "02:06:35", "02:06:50"] {
        book.begin(clock, "ConfirmOutage", "confirm-outage").end(&format!("{clock}.120"), "pending", "both sources fail, for 2m30s of 3m");
    }
    book.begin("02:07:03", "ConfirmOutage", "confirm-outage")
        .saw("02:07:03.200", Evidence::OutageConfirmed { sources: vec!["from-standby".into(), "from-witness".into()], since: at("02:04:00") })
        .end("02:07:03.240", "done", "confirmed");
    book.begin("02:07:04", "Preflight", "preflight")
        .call("02:07:04.100", "rds:DescribeDBInstances", WEST, replica, 92, None)
        .call("02:07:04.200", "servicequotas:GetServiceQuota", WEST, "L-1216C47A", 61, None)
        .call("02:07:04.400", "ec2:DescribeImages", WEST, "ami-0f3a", 143, None)
        .saw("02:07:04.500", Evidence::Preflight { subject: "replica of portal-db".into(), seen: "available, backups on".into(), ready: true })
        .saw("02:07:04.500", Evidence::Preflight { subject: "vCPU quota".into(), seen: "256, and 40 are needed".into(), ready: true })
        .saw("02:07:04.500", Evidence::Preflight { subject: "image of portal-web".into(), seen: "available".into(), ready: true })
        .end("02:07:04.600", "done", "ready");
    book.begin("02:07:05", "Decide", "ask-people")
        .saw(
            "02:07:05.300",
            Evidence::Told { channel: "incidents".into(), subject: "Failing over in 15 minutes unless someone says no".into(), accepted: true },
        )
        .saw("02:07:05.400", Evidence::Asked { question: "failover".into(), heard_by: vec!["incidents".into()], deadline: at("02:22:05") })
        .end("02:07:05.500", "done", "asked");
    book.begin("02:22:06", "TakeDecision", "take-decision")
        .saw(
            "02:22:06.100",
            Evidence::Decided {
                question: "failover".into(),
                choice: "proceed".into(),
                by: "silence".into(),
                reason: String::new(),
                asked_at: at("02:07:05.400"),
            },
        )
        .end("02:22:06.140", "done", "proceed");
    book.begin("02:22:07", "ConfirmAgain", "confirm-outage")
        .saw("02:22:07.100", Evidence::OutageConfirmed { sources: vec!["from-standby".into(), "from-witness".into()], since: at("02:04:00") })
        .end("02:22:07.200", "done", "confirmed");
    book.begin("02:22:08", "FenceOldPrimary", "fence-primary")
        .call("02:22:13", "ec2:ModifyInstanceAttribute", EAST, "basecoat-portal-db (us-east-1)", 1_000, Some(CallFault::Unreachable))
        .saw("02:22:13.100", Evidence::Unfenced { database: "portal-db".into(), seen: "us-east-1 does not answer: connect timed out after 1 s".into() })
        .saw(
            "02:22:13.200",
            Evidence::Accepted {
                risk: Override::Unfenced {
                    database: "portal-db".into(),
                    by: "VP Engineering".into(),
                    reason: "a dark region cannot be fenced; writes that it took are reconciled".into(),
                },
                standing: true,
            },
        )
        .end("02:22:13.300", "done", "accepted beforehand");
    book.begin("02:22:14", "PromoteReplicas", "promote-replica")
        .saw(
            "02:22:14.200",
            Evidence::Lag { database: "portal-db".into(), lag: Some(span("2s")), sampled_at: Some(at("02:03:00")), basis: LagBasis::LastKnown },
        )
        .saw(
            "02:22:14.200",
            Evidence::Accepted {
                risk: Override::Lag {
                    database: "portal-db".into(),
                    up_to: Some(span("5m")),
                    by: "VP Engineering".into(),
                    reason: "the last sample before the outage counts".into(),
                },
                standing: true,
            },
        )
        .saw("02:22:14.300", Evidence::Irreversible { step: "asked for the promotion of basecoat-portal-db-read-replica".into() })
        .call("02:22:14.700", "rds:PromoteReadReplica", WEST, replica, 310, None)
        .end("02:22:14.900", "pending", "portal-db is promoting");
    book.begin("02:22:14", "FailOverCaches", "failover-cache")
        .call("02:22:14.400", "elasticache:FailoverGlobalReplicationGroup", WEST, "ldgnf-basecoat", 120, Some(CallFault::Throttled))
        .end("02:22:14.500", "Muster.Transient", "elasticache:FailoverGlobalReplicationGroup on ldgnf-basecoat: Rate exceeded");
    book.begin("02:22:16", "FailOverCaches", "failover-cache")
        .call("02:22:16.400", "elasticache:FailoverGlobalReplicationGroup", WEST, "ldgnf-basecoat", 240, None)
        .end("02:22:16.500", "pending", "portal-cache is modifying");
    book.begin("02:22:14", "ScaleOut", "scale-group")
        .call("02:22:14.600", "autoscaling:SetDesiredCapacity", WEST, "basecoat-portal-asg-dr (us-west-2)", 85, Some(CallFault::Rejected))
        .end(
            "02:22:14.700",
            "Muster.Permanent",
            "basecoat-portal-asg-dr (us-west-2): the group's maximum is 3; wanted: 5. Now: raise the maximum, then answer `retry`",
        );
    book.begin("02:22:15", "HoldScaleOut", "hold-run")
        .saw(
            "02:22:15.100",
            Evidence::Held {
                phase: "ScaleOut".into(),
                error: "Muster.Permanent".into(),
                cause: "basecoat-portal-asg-dr (us-west-2): the group's maximum is 3; wanted: 5. Now: raise the maximum, then answer `retry`".into(),
            },
        )
        .saw("02:22:15.300", Evidence::Told { channel: "incidents".into(), subject: "Held at ScaleOut".into(), accepted: true })
        .saw("02:22:15.400", Evidence::Asked { question: "ScaleOut-1".into(), heard_by: vec!["incidents".into()], deadline: at("02:52:15") })
        .end("02:22:15.500", "done", "asked");
    book.begin("02:23:00", "FailOverCaches", "failover-cache")
        .call("02:23:00.200", "elasticache:DescribeGlobalReplicationGroups", WEST, "ldgnf-basecoat", 77, None)
        .saw("02:23:00.300", awaited("portal-cache", "failover of the global datastore", "02:22:16.400", "02:23:00.300"))
        .end("02:23:00.400", "done", "portal-cache serves in us-west-2");
    book.begin("02:26:40", "HoldScaleOut", "take-decision")
        .saw(
            "02:26:40.100",
            Evidence::Decided {
                question: "ScaleOut-1".into(),
                choice: "retry".into(),
                by: "DBA on call".into(),
                reason: "raised the maximum to 10".into(),
                asked_at: at("02:22:15.400"),
            },
        )
        .end("02:26:40.150", "done", "retry");
    book.begin("02:26:41", "ScaleOut", "scale-group")
        .call("02:26:41.300", "autoscaling:SetDesiredCapacity", WEST, "basecoat-portal-asg-dr (us-west-2)", 88, None)
        .end("02:26:41.400", "pending", "0 of 5 healthy");
    for clock in ["02:24:30", "02:26:50", "02:29:10"] {
        book.begin(clock, "PromoteReplicas", "promote-replica").call(&format!("{clock}.100"), "rds:DescribeDBInstances", WEST, replica, 95, None).end(
            &format!("{clock}.200"),
            "pending",
            "portal-db is promoting",
        );
    }
    book.begin("02:29:54", "PromoteReplicas", "promote-replica")
        .call("02:29:54.100", "rds:DescribeDBInstances", WEST, replica, 97, None)
        .saw("02:29:54.200", awaited("portal-db", "promotion", "02:22:14.700", "02:29:54.200"))
        .end("02:29:54.300", "done", "portal-db takes writes in us-west-2");
    for clock in ["02:28:00", "02:29:30"] {
        book.begin(clock, "ScaleOut", "scale-group")
            .call(&format!("{clock}.100"), "autoscaling:DescribeAutoScalingGroups", WEST, "basecoat-portal-asg-dr (us-west-2)", 66, None)
            .end(&format!("{clock}.200"), "pending", "3 of 5 healthy");
    }
    book.begin("02:30:40", "ScaleOut", "scale-group")
        .call("02:30:40.100", "autoscaling:DescribeAutoScalingGroups", WEST, "basecoat-portal-asg-dr (us-west-2)", 64, None)
        .saw("02:30:40.200", awaited("portal-web", "five instances to be healthy", "02:26:41.300", "02:30:40.200"))
        .end("02:30:40.300", "done", "5 of 5 healthy");
    book.begin("02:30:41", "ApplyConfiguration", "apply-configuration")
        .call("02:30:41.400", "ssm:PutParameter", WEST, "/basecoat/db-host", 58, None)
        .saw(
            "02:30:41.500",
            Evidence::Configured {
                item: "ssm /basecoat/db-host".into(),
                before: "basecoat-portal-db.use1.rds.example:5432".into(),
                after: "basecoat-portal-db-read-replica.usw2.rds.example:5432".into(),
            },
        )
        .end("02:30:41.600", "done", "1 value set");
    book.begin("02:30:42", "VerifyData", "verify-data")
        .call("02:30:42.500", "sql:Query", PROBE, "portal-db", 12, None)
        .call("02:30:42.700", "sql:Query", PROBE, "portal-db", 31, None)
        .saw("02:30:42.800", checked("orphaned-orders", "portal-db", "0", "0", true))
        .saw("02:30:42.800", checked("newest-order", "portal-db", "1646", "at most 3600", true))
        .end("02:30:42.900", "done", "2 of 2 checks pass");
    book.begin("02:30:43", "VerifyStandby", "verify-service")
        .call("02:30:43.200", "http:Get", PROBE, "https://portal-usw2.example.com/health", 130, None)
        .saw("02:30:43.300", checked("health-standby", "service", "200 in 130ms", "200", true))
        .end("02:30:43.400", "done", "healthy");
    book.begin("02:30:44", "MoveTraffic", "move-traffic")
        .call("02:30:44.300", "cloudwatch:PutMetricData", PROBE, "Muster/Takeover", 41, None)
        .saw(
            "02:30:44.400",
            Evidence::TrafficMoved { record: "basecoat-portal.prod.example.com".into(), method: "takeover metric set to 1 (data plane)".into() },
        )
        .end("02:30:44.500", "pending", "waiting for DNS");
    book.begin("02:31:55", "MoveTraffic", "move-traffic").saw("02:31:55.200", Evidence::TrafficSeen { record: "basecoat-portal.prod.example.com".into() }).end(
        "02:31:55.300",
        "done",
        "DNS answers with the standby",
    );
    for (clock, passed, seen) in
        [("02:31:56", false, "nothing: connection timed out"), ("02:32:20", false, "nothing: connection timed out"), ("02:32:45", true, "200 in 145ms")]
    {
        book.begin(clock, "VerifyPublic", "verify-service")
            .call(
                &format!("{clock}.200"),
                "http:Get",
                PROBE,
                "https://basecoat-portal.prod.example.com/health",
                5_000,
                (!passed).then_some(CallFault::TimedOut),
            )
            .saw(&format!("{clock}.300"), checked("health-public", "service", seen, "200", passed))
            .saw(&format!("{clock}.300"), checked("users-public", "service", seen, "200", passed))
            .end(&format!("{clock}.400"), if passed { "done" } else { "pending" }, if passed { "clients are served" } else { "clients are not served yet" });
    }
    book.begin("02:32:46", "AnnounceEnd", "announce")
        .saw("02:32:46.100", Evidence::Told { channel: "incidents".into(), subject: "Failed over to us-west-2".into(), accepted: true })
        .saw("02:32:46.900", Evidence::Told { channel: "status-page".into(), subject: "Service restored".into(), accepted: false })
        .end("02:32:47", "done", "1 of 2 channels");
    book.entries
}

pub fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (minute, second) in (0..30).map(|minute| (minute, "00")) {
        let clock = at(&format!("02:{minute:02}:{second}"));
        let reading = if minute < 4 { Reading::Healthy } else { Reading::Failing { why: "connect timed out".into() } };
        for (vantage, source) in [("us-west-2", "from-standby"), ("us-east-2", "from-witness")] {
            let blind = source == "from-witness" && minute == 16;
            let reading = if blind { Reading::Blind { why: "no route from us-east-2".into() } } else { reading.clone() };
            samples.push(Sample { at: clock, vantage: vantage.parse().unwrap(), source: source.into(), reading });
        }
        if minute < 4 {
            samples.push(Sample {
                at: clock,
                vantage: "us-west-2".parse().unwrap(),
                source: "replica-lag".into(),
                reading: Reading::Lags { lags: [("portal-db".into(), span("2s"))].into() },
            });
        }
    }
    samples
}

pub fn clients() -> Clients {
    let segment = |from: &str, until: &str, start, end| CurveSegment { from: at(from), until: at(until), success_ppm_start: start, success_ppm_end: end };
    let busy = |component: &str, what: &str, from: &str, until: &str| Busy { component: component.into(), what: what.into(), from: at(from), until: at(until) };
    let truth = |component: &str, available: &str, rpo: Option<&str>, confirmed, lost| ComponentTruth {
        component: component.into(),
        unavailable_from: Some(at("02:03:17")),
        available_at: Some(at(available)),
        rpo: rpo.map(span),
        writes_confirmed: confirmed,
        writes_lost: lost,
    };
    Clients {
        incident_at: at("02:03:17"),
        curve: vec![
            segment("02:00:00", "02:03:17", 999_800, 999_800),
            segment("02:03:17", "02:31:40", 0, 0),
            segment("02:31:40", "02:32:40", 0, 1_000_000),
            segment("02:32:40", "02:32:47", 1_000_000, 1_000_000),
        ],
        components: vec![
            truth("portal-db", "02:29:47", Some("1s850ms"), 184_220, 37),
            truth("portal-cache", "02:22:58", Some("0s"), 9_120, 0),
            truth("portal-web", "02:30:36", None, 0, 0),
        ],
        busy: vec![
            busy("portal-db", "promotion", "02:22:14.700", "02:29:47"),
            busy("portal-cache", "failover of the global datastore", "02:22:16.400", "02:22:58"),
            busy("portal-web", "instances starting", "02:26:41.300", "02:30:36"),
        ],
        seed: 4_711,
        faults: vec!["us-east-1 goes dark at 02:03:17 and stays dark".into(), "elasticache:FailoverGlobalReplicationGroup is throttled once".into()],
    }
}

pub fn measured() -> Report {
    let (run, entries, samples) = (run(), ledger(), samples());
    assemble(&plan(), &closing(&run, &entries, &samples))
}

pub fn closing<'a>(run: &'a Run, entries: &'a [Entry], samples: &'a [Sample]) -> Closing<'a> {
    Closing { run, outcome: "succeeded", started_by: "alarm", drill: false, closed_at: at("02:32:47"), entries, samples }
}

/// A night's backup of the same service.
pub fn backup_run() -> Run {
    Run { id: RunId("basecoat-portal/backup/2026-11-20T03:00:00Z".into()), flow: "backup".into(), lane: Lane::Protect, opened_at: at("03:00:00"), ..run() }
}

pub fn backup_ledger() -> Vec<Entry> {
    let mut book = Book::of(&backup_run());
    book.begin("03:00:00", "OpenRun", "open-run").saw("03:00:00.040", Evidence::Opened { by: "schedule".into(), reason: "hourly".into() }).end(
        "03:00:00.090",
        "done",
        "run opened at epoch 7",
    );
    book.begin("03:00:01", "TakeBackup", "take-backup").call("03:00:01.400", "rds:DescribeDBSnapshots", EAST, "basecoat-portal-db (us-east-1)", 180, None).end(
        "03:00:01.900",
        "done",
        "taken: ",
    );
    let verified = |problems, exposures| Evidence::BackupsVerified { as_of: at("03:00:02"), problems, exposures };
    let problem = |backup: Option<&str>, place: &str, words: &str, alarms| BackupProblem {
        component: backup.map(|_| "databases.portal-db".into()),
        backup: backup.map(Into::into),
        place: place.into(),
        words: words.into(),
        alarms,
    };
    let exposure = |component: &str, loss: Option<&str>, from: Option<&str>| BackupExposure {
        component: component.into(),
        loss: loss.map(span),
        rpo: Some(span("1h")),
        from: from.map(Into::into),
    };
    let small = "dumps/portal.dump has 102 MiB, and 1 GiB were usual: restore it, or take another, before older ones are deleted";
    // An answer that was lost: what the second call said is told.
    book.begin("03:00:05", "VerifyBackups", "verify-backups")
        .saw("03:00:09", verified(vec![problem(Some("portal-db-dumps"), "s3://lost", "lost", true)], vec![]));
    book.begin("03:01:05", "VerifyBackups", "verify-backups")
        .call("03:01:06.400", "s3:ListBucket", ("us-east-1", Plane::Data), "portal-dumps", 180, None)
        .saw(
            "03:01:09",
            verified(
                vec![
                    problem(Some("portal-db-dumps"), "s3://portal-dumps", small, true),
                    problem(None, "us-east-1", "91 manual snapshots of 100 that may be: ask AWS for more before they are used up", false),
                ],
                vec![exposure("databases.portal-db", Some("52m"), Some("portal-db-snapshots"))],
            ),
        )
        .saw("03:01:09", verified(vec![], vec![exposure("caches.portal-cache", None, None), exposure("databases.audit", Some("3h"), Some("audit-daily"))]))
        .end("03:01:09.100", "done", "1 wrong");
    book.entries
}

pub fn backed_up() -> Report {
    let (run, entries, samples) = (backup_run(), backup_ledger(), samples());
    assemble(&plan(), &Closing { closed_at: at("03:01:12"), started_by: "schedule", ..closing(&run, &entries, &samples) })
}

/// A restore test of the same service. `wanted`: what the source answers.
pub fn restore_ledger(wanted: &str) -> Vec<Entry> {
    let mut book = Book::of(&restore_run());
    let restored = |from: &str, until: &str| Evidence::Restored {
        component: "databases.portal-db".into(),
        snapshot: "basecoat-portal-db-snapshots-20261120-020000-c0be236f".into(),
        taken_at: at("02:00:04"),
        instance: "muster-clone-portal-db-1c9d8e7f".into(),
        from: at(from),
        until: at(until),
        loaded_from: None,
        rto: span("30m"),
    };
    let checked = |check: &str, seen: &str, wanted: &str| Evidence::Checked {
        check: check.into(),
        component: "portal-db".into(),
        seen: seen.into(),
        wanted: wanted.into(),
        passed: wanted.starts_with(seen),
    };
    // An attempt that was made again is told once.
    book.begin("03:10:00", "RestoreClone", "restore-clone").saw("03:10:01", restored("03:00:10", "03:10:00")).end("03:10:01.100", "done", "restored");
    book.begin("03:40:00", "RestoreClone", "restore-clone").saw("03:40:01", restored("03:12:00", "03:40:00")).end("03:40:01.100", "done", "restored");
    book.begin("03:40:02", "VerifyClone", "verify-clone").saw("03:40:03", checked("compare orders", "41230", &format!("{wanted}, as in the source"))).end(
        "03:40:03.100",
        "done",
        "asked",
    );
    book.begin("03:44:00", "DestroyClone", "destroy-clone")
        .saw("03:44:01", Evidence::CloneDestroyed { component: "databases.portal-db".into(), instance: "muster-clone-portal-db-1c9d8e7f".into() })
        .end("03:44:01.100", "done", "removed");
    book.entries
}

pub fn restore_run() -> Run {
    Run { id: RunId("basecoat-portal.restore-test.7".into()), flow: "restore-test".into(), lane: Lane::Prove, opened_at: at("03:00:00"), ..run() }
}

/// The same of a dump: half an hour for a server, and an hour for the load.
pub fn dump_ledger() -> Vec<Entry> {
    let mut book = Book::of(&restore_run());
    let loaded = Evidence::Restored {
        component: "backups.dumps".into(),
        snapshot: "daily/dump-20261120".into(),
        taken_at: at("01:00:00"),
        instance: "muster-clone-dumps-1c9d8e7f".into(),
        from: at("02:00:10"),
        until: at("03:30:10"),
        loaded_from: Some(at("02:30:10")),
        rto: span("30m"),
    };
    let compared = Evidence::Checked {
        check: "compare orders".into(),
        component: "backups.dumps".into(),
        seen: "41230".into(),
        wanted: "41230, as in the source".into(),
        passed: true,
    };
    book.begin("03:30:20", "LoadDump", "load-dump").saw("03:30:21", loaded).end("03:30:21.100", "done", "loaded");
    book.begin("03:30:22", "VerifyClone", "verify-clone").saw("03:30:23", compared).end("03:30:23.100", "done", "asked");
    book.entries
}

/// A restore test's report.
pub fn restore_tested(wanted: &str, outcome: &'static str) -> Report {
    proven(outcome, &restore_ledger(wanted))
}

/// The report on a dump.
pub fn dump_tested() -> Report {
    proven("succeeded", &dump_ledger())
}

/// A report, with what the plan compares.
fn proven(outcome: &'static str, entries: &[Entry]) -> Report {
    let mut plan = plan();
    plan.databases[0].restore_test = Some(muster_plan::RestoreTest {
        subnet_group: "isolated".into(),
        security_groups: vec!["sg-clone".into()],
        instance_class: None,
        compare: vec![muster_plan::Comparison { name: "orders".parse().unwrap(), query: "select count(*) from orders where at < '{takenAt}'".into() }],
        dump: Some(muster_plan::DumpTest { backup: "dumps".parse().unwrap(), project: "basecoat-pg-restore".into(), storage: None }),
    });
    let (run, samples) = (restore_run(), samples());
    assemble(&plan, &Closing { outcome, closed_at: at("03:44:10"), started_by: "schedule", ..closing(&run, entries, &samples) })
}

pub fn rehearsed() -> Report {
    measured().with_clients(clients())
}
