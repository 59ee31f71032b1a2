//! Every endpoint of the primary region is dark, and so are the control planes that AWS keeps in us-east-1 for all regions.
#![allow(clippy::unwrap_used)] // also in the functions that tests share

use std::sync::Arc;

use muster_core::{Duration, Evidence};
use muster_plan::{Plan, Severity};
use muster_report::Report;
use muster_twin::{Event, Rehearsal, Rehearser, Scenario};

const BASECOAT: &str = include_str!("../../plans/basecoat.yaml");
const KREDETE: &str = include_str!("../../plans/kredete.yaml");
const TAKEOVER: &str = "{kind: takeoverMetric, healthCheck: 6f1b0a52-5f0e-4c53-9d5d-0c1a2b3c4d5e, alarm: basecoat-portal-takeover}";
const UPSERT: &str = "{kind: upsertAlias, primary: {dnsName: basecoat-alb.us-east-1.elb.amazonaws.com, zone: Z35SXDOTRQ7X7K}, \
     standby: {dnsName: basecoat-alb-dr.us-west-2.elb.amazonaws.com, zone: Z1H1FL5HABSF5}}";

fn loaded(source: &str) -> (Arc<Plan>, Vec<String>) {
    let loaded = muster_plan::load("plan.yaml", source.as_bytes());
    let warnings =
        loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning).map(|diagnostic| diagnostic.message.clone()).collect();
    (Arc::new(loaded.plan.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))), warnings)
}

fn in_blackout(plan: &Arc<Plan>, more: &[&str], seed: u64) -> (Rehearsal, Vec<Event>) {
    let scenario = Scenario::named(&[&["blackout"], more].concat(), seed, plan).unwrap();
    let mut events = Vec::new();
    let rehearsal = Rehearser::new(plan).unwrap().watch(&scenario, &mut |event| events.push(event));
    assert!(rehearsal.violation.is_none(), "seed {seed}: {:?}", rehearsal.violation);
    (rehearsal, events)
}

/// The calls to the dead region that the restoration hung on: phase, operation, how often.
fn waited_for(report: &Report, plan: &Plan) -> Vec<(String, String, u64)> {
    let dead = |dependence: &&muster_report::Dependence| dependence.region == plan.regions.primary && dependence.on_critical_path;
    report.calls.dependences.iter().filter(dead).map(|found| (found.phase.clone(), found.operation.clone(), found.count)).collect()
}

#[test]
fn a_failover_completes_with_the_region_and_the_global_control_planes_dark_and_waits_for_one_call_to_them() {
    let (plan, _) = loaded(BASECOAT);
    for seed in 1..9 {
        let (rehearsal, _) = in_blackout(&plan, &[], seed);
        assert_eq!(rehearsal.outcome.as_deref(), Some("succeeded"), "seed {seed}");
        let report = rehearsal.report.unwrap();
        // One look beside the preflight, which is waited for where it takes longer than that. The veto window was longer than two
        // minutes, so the fence looks once more: a region that came back meanwhile must be fenced.
        for (phase, operation, times) in waited_for(&report, &plan) {
            assert!(["LookAtPrimary", "FenceDatabase"].contains(&phase.as_str()), "seed {seed}: {phase} waits for {operation}");
            assert_eq!((operation.as_str(), times), ("rds:DescribeDBInstances", 1), "seed {seed}");
        }
        let fence = report.calls.groups.iter().filter(|group| group.region == plan.regions.primary && group.operation.starts_with("rds:"));
        let (spent, calls) = fence.fold((Duration::ZERO, 0), |(spent, calls), group| (spent.saturating_add(group.latency_total), calls + group.count));
        assert!(spent <= Duration::from_secs(5), "seed {seed}: {spent}");
        assert_eq!(calls, 2, "seed {seed}: one look beside the preflight, one at the fence");
    }
}

#[test]
fn a_plan_whose_region_is_not_us_east_1_does_not_need_it_either() {
    let (plan, _) = loaded(KREDETE);
    let part = Arc::new(muster_actions::built_part(&plan).unwrap());
    let seed = (1..40).find(|seed| in_blackout(&part, &["approval", "person-accepts"], *seed).0.outcome.as_deref() == Some("succeeded"));
    assert!(seed.is_some(), "people answer within the hold in one of forty disasters");
}

#[test]
fn a_plan_that_rewrites_records_is_warned_of_and_says_where_it_is_stuck() {
    let (_, warnings) = loaded(BASECOAT);
    assert!(!warnings.iter().any(|warning| warning.contains("control plane")), "{warnings:?}");
    let (plan, warnings) = loaded(&BASECOAT.replace(TAKEOVER, UPSERT));
    assert!(warnings.iter().any(|warning| warning.contains("needs Route 53's control plane, which is in us-east-1")), "{warnings:?}");
    let (rehearsal, events) = in_blackout(&plan, &[], 1);
    assert_ne!(rehearsal.outcome.as_deref(), Some("succeeded"));
    let holds: Vec<(&str, &str)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Evidence { evidence: Evidence::Held { phase, cause, .. }, .. } => Some((phase.as_str(), cause.as_str())),
            _ => None,
        })
        .collect();
    assert!(holds.iter().all(|(phase, _)| *phase == "FlipDns"), "{holds:?}");
    assert!(holds.iter().any(|(_, cause)| cause.contains("route53:ChangeResourceRecordSets") && cause.contains("us-east-1")), "{holds:?}");
}
