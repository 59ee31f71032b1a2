//! Nothing on the critical path needs the region that failed, or a control plane that lives in us-east-1.

use super::{Findings, each};
use crate::checks::{Check, MetricCheck};
use crate::configuration::Configuration;
use crate::custom::CustomRun;
use crate::databases::DatabaseStandby;
use crate::people::Delivery;
use crate::plan::Plan;
use crate::traffic::{RegionRole, TrafficMethod};
use crate::triggers::Source;

/// Where the control planes of Route 53, IAM and CloudFront are.
const GLOBAL_CONTROL_PLANES: &str = "us-east-1";

pub(super) fn check(plan: &Plan, findings: &mut Findings<'_>) {
    distinct(plan, findings);
    arns(plan, findings);
    traffic(plan, findings);
    configuration_and_checks(plan, findings);
    confirmation(plan, findings);
}

fn distinct(plan: &Plan, findings: &mut Findings<'_>) {
    let regions = &plan.regions;
    if regions.standby == regions.primary {
        findings.error(
            "same-region",
            "/regions/standby",
            "the standby region is the primary region",
            "name another region: what stands by where the fault is does not stand by",
        );
        findings.also("/regions/primary", "the primary");
    }
    if regions.witness == regions.primary || regions.witness == regions.standby {
        let other = if regions.witness == regions.primary { "primary" } else { "standby" };
        findings.error(
            "same-region",
            "/regions/witness",
            format!("the witness region is the {other} region"),
            "name a third region: from two, a dead region cannot be told from a broken path between them",
        );
        findings.also(&format!("/regions/{other}"), format!("the {other}"));
    }
}

/// What the recovery reads, by ARN or by name.
fn needed(plan: &Plan) -> Vec<(String, &str)> {
    let mut needed: Vec<(String, &str)> = Vec::new();
    for (at, database) in each("/databases", &plan.databases) {
        if let Some(credentials) = &database.credentials {
            needed.push((format!("{at}/credentials/secret"), &credentials.secret));
        }
        let fallbacks: Vec<_> = each("/fallback", &database.fallback).map(|(path, standby)| (format!("{at}{path}"), standby)).collect();
        for (at, standby) in std::iter::once((format!("{at}/standby"), &database.standby)).chain(fallbacks) {
            if let DatabaseStandby::LatestSnapshot { target, .. } | DatabaseStandby::PointInTime { target, .. } = standby
                && let Some(key) = &target.kms_key
            {
                needed.push((format!("{at}/target/kmsKey"), key));
            }
        }
    }
    for (at, backup) in each("/backups", &plan.backups) {
        if let Some(key) = backup.copy.as_ref().and_then(|copy| copy.kms_key.as_ref()) {
            needed.push((format!("{at}/copy/kmsKey"), key));
        }
    }
    for (at, channel) in each("/people/channels", &plan.people.channels) {
        match &channel.via {
            Delivery::Sns { topic } => needed.push((format!("{at}/via/topic"), topic)),
            Delivery::Webhook { address } => needed.push((format!("{at}/via/address/secret"), &address.secret)),
            Delivery::Person { .. } => {}
        }
    }
    for (at, step) in each("/custom", &plan.custom) {
        match &step.run {
            CustomRun::Lambda { function, .. } => needed.push((format!("{at}/run/function"), function)),
            CustomRun::CodeBuild { project, .. } => needed.push((format!("{at}/run/project"), project)),
            CustomRun::KubernetesJob { .. } => {}
        }
    }
    for (at, prerequisite) in each("/prerequisites", &plan.prerequisites) {
        match prerequisite {
            crate::aftercare::Prerequisite::Certificate { arn } => needed.push((format!("{at}/arn"), arn)),
            crate::aftercare::Prerequisite::KmsKey { key } => needed.push((format!("{at}/key"), key)),
            _ => {}
        }
    }
    needed
}

fn arns(plan: &Plan, findings: &mut Findings<'_>) {
    let primary = plan.regions.primary.as_str();
    for (at, id) in needed(plan) {
        let region = id.starts_with("arn:").then(|| id.split(':').nth(3)).flatten().unwrap_or("");
        if region == primary {
            findings.error(
                "needs-failed-region",
                &at,
                format!("the recovery would need {primary}, the region that failed"),
                format!("name the one in {}, and create it there if there is none", plan.regions.standby),
            );
            findings.label(format!("this is in {primary}"));
        }
    }
}

fn traffic(plan: &Plan, findings: &mut Findings<'_>) {
    let primary = plan.regions.primary.as_str();
    let promotes = plan.recovered_databases().next();
    for (at, record) in each("/traffic", &plan.traffic) {
        if record.standby.url == record.primary.url {
            findings.error(
                "same-endpoint",
                &format!("{at}/standby/url"),
                "the standby's address is the primary's",
                "write the address that reaches the standby without going through the public name",
            );
            findings.also(&format!("{at}/primary/url"), "the primary's");
        } else if record.standby.url.contains(&format!(".{primary}.")) {
            findings.error(
                "needs-failed-region",
                &format!("{at}/standby/url"),
                format!("the standby's address is in {primary}, the region that failed"),
                format!("write one in {}", plan.regions.standby),
            );
        }
        if host(&record.standby.url) == record.record {
            findings.error(
                "same-endpoint",
                &format!("{at}/standby/url"),
                "the standby's address is the public name, which still leads to the primary",
                "write an address of the standby itself",
            );
        }
        match &record.method {
            TrafficMethod::UpsertAlias { primary: target, standby, .. } => {
                if target == standby {
                    findings.error(
                        "same-endpoint",
                        &format!("{at}/method/standby"),
                        "the record would point to where it points already",
                        "write the standby's load balancer and its hosted zone",
                    );
                }
                let when = if primary == GLOBAL_CONTROL_PLANES { "the region that failed" } else { "while that is down, the run holds at FlipDns" };
                findings.warning(
                    "control-plane",
                    &format!("{at}/method/kind"),
                    format!("moving this name needs Route 53's control plane, which is in us-east-1: {when}"),
                    "use `kind: takeoverMetric` or `kind: routingControl`: both move the name with data planes only",
                );
            }
            TrafficMethod::AutomaticFailover { .. } => {
                if let Some(database) = promotes {
                    findings.error(
                        "fails-over-by-itself",
                        &format!("{at}/method/kind"),
                        format!("this name moves by itself, before database `{}` is promoted: clients would write to a read-only replica", database.name),
                        "use `kind: takeoverMetric`, which moves it once the standby is healthy and writable",
                    );
                }
            }
            TrafficMethod::RoutingControl { endpoints, .. } => {
                if endpoints.iter().all(|endpoint| endpoint.region == plan.regions.primary) {
                    findings.error(
                        "needs-failed-region",
                        &format!("{at}/method/endpoints"),
                        "no endpoint is outside the region that failed",
                        "list all five endpoints of the routing-control cluster",
                    );
                }
            }
            TrafficMethod::TakeoverMetric { .. } => {}
        }
    }
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or(rest)
}

fn configuration_and_checks(plan: &Plan, findings: &mut Findings<'_>) {
    let primary = &plan.regions.primary;
    for (at, configuration) in each("/configuration", &plan.configuration) {
        if let Configuration::SsmParameter { region: RegionRole::Primary, .. } = configuration {
            findings.error(
                "needs-failed-region",
                &format!("{at}/region"),
                format!("this is written in {primary}, the region that failed"),
                "leave `region` out: the parameter is written in the standby region, where its readers are",
            );
        }
    }
    for (at, check) in each("/checks", &plan.checks) {
        if matches!(check, Check::Metric(MetricCheck { region: RegionRole::Primary, .. })) {
            findings.error(
                "needs-failed-region",
                &format!("{at}/region"),
                format!("this metric is asked for in {primary}, the region that failed"),
                "leave `region` out, and name the standby's resource in `dimensions`",
            );
        }
    }
}

fn confirmation(plan: &Plan, findings: &mut Findings<'_>) {
    for (at, source) in each("/triggers/confirm/of", &plan.triggers.confirm.of) {
        match source {
            Source::Alarm { region: RegionRole::Primary, .. } => findings.error(
                "needs-failed-region",
                &format!("{at}/region"),
                "a dead region raises no alarm of its own",
                "watch from the standby or the witness region, with missing data as breaching",
            ),
            Source::Http { url, .. } if plan.traffic.iter().any(|record| host(url) == record.record) => findings.warning(
                "watches-public-name",
                &format!("{at}/url"),
                "this watches the public name: after a failover, it tells that the standby is well",
                "watch an address of the primary itself, such as its load balancer",
            ),
            _ => {}
        }
    }
}
